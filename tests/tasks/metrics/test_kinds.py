"""Metrics against their formulas: one value per sample."""

import torch

from lrtool.tasks import metrics
from lrtool.tasks.base import BuildContext, DataShape, Metric


def built(kind: str) -> Metric:
    return metrics.KINDS[kind]().build(BuildContext())


def test_accuracy_of_classes_and_tokens() -> None:
    output = torch.eye(3)[torch.tensor([[0, 1], [2, 2]])]
    right = built("accuracy").per_sample(output, torch.tensor([[0, 2], [2, 2]]))
    assert right.tolist() == [[1.0, 0.0], [1.0, 1.0]]
    assert built("accuracy").per_sample(output[:, 0], torch.tensor([0, 1])).tolist() == [1.0, 0.0]


def test_accuracy_of_yes_or_no() -> None:
    output, target = torch.tensor([[0.2], [-0.2], [3.0]]), torch.tensor([[1.0], [1.0], [0.0]])
    assert built("accuracy").per_sample(output, target).tolist() == [[1.0], [0.0], [0.0]]


def test_errors_of_values() -> None:
    output, target = torch.tensor([[1.0], [-2.0]]), torch.tensor([[3.0], [-2.5]])
    assert built("mae").per_sample(output, target).tolist() == [[2.0], [0.5]]
    assert built("mse").per_sample(output, target).tolist() == [[4.0], [0.25]]
    assert not built("mae").higher_is_better
    assert built("accuracy").higher_is_better


def test_the_defaults_follow_the_target() -> None:
    pairs = (("class", "cross_entropy"), ("labels", "bce"), ("value", "mse"), ("value", "bce"))
    names = [[m.kind for m in metrics.default_metrics(DataShape(target=kind), loss)] for kind, loss in pairs]
    assert names == [["accuracy"], ["accuracy"], ["mae"], ["accuracy"]]
    assert metrics.default_metrics(DataShape(), "mse") == ()
