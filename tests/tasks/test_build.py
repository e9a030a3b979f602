"""Tasks: what fits is built, what does not is one clear error."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lrtool.errors import TaskError, UsageError
from lrtool.tasks import datasets, losses, metrics, models
from lrtool.tasks.base import BuildContext, Task, seeded_model
from lrtool.tasks.build import build_task

#: A model with one output.
ONE = ("Net", {"outputs": 1})

Write = Callable[[str, str], Path]

CODE = """
    from types import SimpleNamespace

    import torch
    from torch import nn
    from torch.nn import functional as F

    def classes(samples=40, count=3): return torch.randn(samples, 4), torch.arange(samples) % count
    def values(width=1): return torch.randn(40, 4), torch.randn(40, width)
    def flat_values(): return torch.randn(40, 4), torch.randn(40)
    def short(): return torch.randn(40, 4), torch.arange(40, dtype=torch.int32) % 3
    def shifted(): return torch.randn(40, 4), torch.arange(40) % 3 - 1
    def ignored(): return torch.randn(40, 4), torch.arange(40) % 3 * 50 - 100 + 0
    def words(): return [{"ids": torch.tensor([n % 5, 1]), "labels": torch.tensor(n % 2)} for n in range(30)]
    def aimed(): return [{"x": torch.randn(4), "target": torch.randn(1)} for n in range(30)]
    def parted(): return [{"x": torch.randn(4), "target": {"a": torch.randn(1)}} for n in range(30)]

    class Net(nn.Module):
        def __init__(self, outputs=3):
            super().__init__()
            self.layer = nn.Linear(4, outputs)
        def forward(self, x):
            return self.layer(x)

    class Tuple(Net):
        def forward(self, x):
            return self.layer(x), None

    class OwnLoss(nn.Module):
        def __init__(self, mapping=False):
            super().__init__()
            self.embed, self.head, self.mapping = nn.Embedding(5, 4), nn.Linear(4, 2), mapping
        def forward(self, ids, labels):
            logits = self.head(self.embed(ids).mean(1))
            out = {"loss": F.cross_entropy(logits, labels), "logits": logits}
            return out if self.mapping else SimpleNamespace(**out)

    def quantile(output, target, q=0.5):
        e = target - output
        return torch.maximum(q * e, (q - 1) * e).mean()
    def cut(output, target): return quantile(output, target).detach()
    def unreduced(output, target): return (output - target) ** 2
    def broken(output, target): return output @ target
    def narrow(output): return output.mean()

    class Weighted:
        def __init__(self, weight): self.weight = weight
        def __call__(self, output, target): return self.weight * F.mse_loss(output, target)

    def within(output, target, tolerance=1.0): return ((output - target).abs() < tolerance).float()
    def scalar(output, target): return (output - target).abs().mean()
    """


@pytest.fixture
def make(context: BuildContext, write: Write) -> Callable[..., Task]:
    """Build a task from targets in one file: data, model (or a kind), loss and metrics."""
    write("own.py", CODE)

    def make(data: str, model: object = "Net", loss: object = None, metric: object = None, **fields: object) -> Task:
        known = isinstance(model, str) and model in models.KINDS.kinds
        return build_task(
            "own",
            models.KINDS[model]() if known else models.KINDS["use"](**use(model)),
            datasets.KINDS["use"](**use(data), **{"batch_size": 8, **fields}),
            chosen(loss),
            metric and [metrics.KINDS["use"](**use(each)) for each in metric],
            context,
        )

    return make


def chosen(loss: object) -> losses.Loss | None:
    if loss is None:
        return None
    return losses.KINDS[loss]() if loss in ("mse", "bce", "cross_entropy") else losses.KINDS["use"](**use(loss))


def use(target: object) -> dict:
    name, args = target if isinstance(target, tuple) else (target, {})
    return {"use": f"own.py:{name}", "args": args}


def test_defaults_follow_the_kind_of_target(make: Callable[..., Task]) -> None:
    by_class, by_value = make("classes"), make("values", "mlp")
    assert set(by_class.metrics) == {"accuracy"}
    assert set(by_value.metrics) == {"mae"}
    assert by_class.batches_per_epoch == 32 // 8
    output, target = torch.randn(5, 3), torch.arange(5) % 3
    torch.testing.assert_close(by_class.loss_of(output, target), torch.nn.functional.cross_entropy(output, target))
    torch.testing.assert_close(by_value.loss_of(output, output + 2), torch.tensor(4.0))


def test_building_leaves_the_random_state(make: Callable[..., Task]) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    build_task("d", models.KINDS["mlp"](), datasets.KINDS["digits"](), None, None, BuildContext())
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("mapping", [False, True])
def test_a_model_that_returns_its_own_loss_needs_none(make: Callable[..., Task], mapping: bool, train) -> None:
    task = make("words", ("OwnLoss", {"mapping": mapping}))
    assert task.loss is None
    assert not task.metrics
    first, last = train(task, 60, 0.05)
    assert last < first


def test_mapping_batches_with_a_target_and_a_loss(make: Callable[..., Task]) -> None:
    task = make("aimed", ONE, loss="mse")
    assert make("aimed", ONE).loss_said == task.loss_said
    batch = task.train.take(torch.arange(4))
    assert task.loss_of(batch.forward(seeded_model(task, 0)), batch.target).ndim == 0


def test_losses_and_metrics_of_ones_own(make: Callable[..., Task]) -> None:
    task = make("values", ONE, loss=("quantile", {"q": 0.9}), metric=[("within", {"tolerance": 0.5})])
    output, target = torch.zeros(2, 1), torch.ones(2, 1)
    torch.testing.assert_close(task.loss_of(output, target), torch.tensor(0.9))
    assert task.metrics["within"].per_sample(output, target).tolist() == [[0.0], [0.0]]
    weighted = make("values", ONE, loss=("Weighted", {"weight": 3.0}))
    torch.testing.assert_close(weighted.loss_of(output, target), torch.tensor(3.0))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("classes", ("Net", {"outputs": 2})), "gives 2 outputs but targets go up to 2; give the model 3"),
        (("shifted",), "classes are numbered from 0, but targets go down to -1; add 1 to every target"),
        (("values", ("Net", {"outputs": 2})), r"the model gives \(8, 2\) float32 and the target is \(8, 1\) float32"),
        (("words", "OwnLoss", "mse"), "needs a tensor as target, but the data set gives a NoneType"),
        (("values", ONE, "cut"), "does not depend on the model's parameters"),
        (("values", ONE, "unreduced"), r"one number, .* but got \(8, 1\) float32; return loss.mean"),
        (("values", ONE, "broken"), r"own\.py:\d+: the loss raised RuntimeError"),
        (("values", ONE, None, ["scalar"]), r"'scalar' must give one value per sample, but got \(\)"),
        (("words", "Net"), r"the model's forward pass \(inputs: \(8, 2\) int64, \(8,\) int64\) raised TypeError"),
        (("values", ONE, "bce"), "needs targets from 0 to 1, but they range from -"),
    ],
)
def test_what_does_not_fit_is_explained(make: Callable[..., Task], asked: tuple, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        make(*asked)


@pytest.mark.parametrize(
    ("asked", "fields", "message"),
    [
        (("classes", "Net", "mse"), {}, "not for targets of kind 'class'; write loss: cross_entropy"),
        (("values", "Net", "cross_entropy"), {}, "not for targets of kind 'value'; write loss: mse"),
        (("classes",), {"batch_size": 33}, "a batch of 33 does not fit 32 training samples; write at most 32"),
        (("values", "Net", "narrow"), {}, r"loss\.args: .*its signature is narrow\(output\)"),
        (("parted", ONE), {}, "no default loss; write loss: cross_entropy"),
        (("values", ONE, None, ["within", "within"]), {}, "two metrics are named 'within'"),
    ],
)
def test_a_config_that_does_not_fit_is_explained(
    make: Callable[..., Task], asked: tuple, fields: dict, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        make(*asked, **fields)


def test_ignored_targets_do_not_count(make: Callable[..., Task]) -> None:
    with pytest.raises(TaskError, match="go down to -50"):
        make("ignored")


def test_a_forward_that_raises_names_its_line(make: Callable[..., Task], context: BuildContext) -> None:
    make("classes")
    lines = (context.folder / "own.py").read_text().splitlines()
    line = next(n for n, text in enumerate(lines, 1) if "return self.layer(x)" in text)
    (context.folder / "wide.py").write_text("import torch\ndef load(): return torch.randn(20, 9), torch.zeros(20, 3)")
    model, data = models.KINDS["use"](use="own.py:Net"), datasets.KINDS["use"](use="wide.py:load", batch_size=8)
    message = rf"own\.py:{line}: the model's forward pass \(inputs: \(8, 9\) float32\) raised RuntimeError"
    with pytest.raises(TaskError, match=message):
        build_task("wide", model, data, None, None, context)
