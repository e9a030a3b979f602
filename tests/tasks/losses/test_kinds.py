"""Losses against their formulas."""

import pytest
import torch
from pydantic import ValidationError

from lrtool.tasks import losses
from lrtool.tasks.base import BuildContext, DataShape

OUTPUT, T = torch.tensor([[0.5], [-3.0], [2.0]]), torch.tensor([[0.0], [1.0], [1.0]])
E = OUTPUT - T
FORMULAS = [
    ("mse", {}, (E**2).mean()),
    ("l1", {}, E.abs().mean()),
    ("huber", {"delta": 1.0}, torch.tensor([0.125, 3.5, 0.5]).mean()),
    ("huber", {"delta": 2.0}, torch.tensor([0.125, 2 * (4 - 1), 0.5]).mean()),
    ("bce", {}, -(T * torch.sigmoid(OUTPUT).log() + (1 - T) * (1 - torch.sigmoid(OUTPUT)).log()).mean()),
]


@pytest.mark.parametrize(("kind", "fields", "expected"), FORMULAS)
def test_values_follow_the_formula(kind: str, fields: dict, expected: torch.Tensor) -> None:
    torch.testing.assert_close(losses.KINDS[kind](**fields).build(BuildContext())(OUTPUT, T), expected)


@pytest.mark.parametrize("size", [(6,), (2, 3)])
def test_cross_entropy_takes_samples_and_sequences(size: tuple[int, ...]) -> None:
    output, target = torch.randn(*size, 4), torch.randint(4, size)
    log_p = output.log_softmax(-1)
    right = log_p.gather(-1, target[..., None]).squeeze(-1)
    plain, smooth = (losses.KINDS["cross_entropy"](label_smoothing=s).build(BuildContext()) for s in (0.0, 0.1))
    torch.testing.assert_close(plain(output, target), -right.mean())
    torch.testing.assert_close(smooth(output, target), -(0.9 * right + 0.1 * log_p.mean(-1)).mean())


def test_cross_entropy_leaves_out_ignored_targets() -> None:
    output, target = torch.randn(4, 3), torch.tensor([0, -100, 2, -100])
    loss = losses.KINDS["cross_entropy"]().build(BuildContext())
    torch.testing.assert_close(loss(output, target), loss(output[::2], target[::2]))


@pytest.mark.parametrize(("kind", "target"), [("class", "cross_entropy"), ("token", "cross_entropy"), ("value", "mse")])
def test_the_default_follows_the_target(kind: str, target: str) -> None:
    assert losses.default_loss(DataShape(target=kind)).kind == target


@pytest.mark.parametrize(("kind", "fields"), [("huber", {"delta": 0}), ("cross_entropy", {"label_smoothing": 1})])
def test_bad_fields_are_refused(kind: str, fields: dict) -> None:
    with pytest.raises(ValidationError):
        losses.KINDS[kind](**fields)
