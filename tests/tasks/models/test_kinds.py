"""Every built-in model: shapes, seeds, stacking under vmap, and learning on its natural data."""

import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional

from lrtool.engine.device import math_attention
from lrtool.errors import UsageError
from lrtool.tasks import datasets, losses, models
from lrtool.tasks.base import BuildContext, DataShape, seeded_model
from lrtool.tasks.build import build_task

IMAGE, SERIES, STROKES, POINT = (1, 8, 8), (40,), (2, 20), (2,)
NUMERIC = [
    ("linear", IMAGE, {}),
    ("mlp", IMAGE, {}),
    ("mlp", POINT, {"hidden": (8, 8), "activation": "tanh", "norm": "layer"}),
    ("mlp", IMAGE, {"hidden": (16,), "norm": "batch", "dropout": 0.2}),
    ("cnn", IMAGE, {}),
    ("cnn", SERIES, {"channels": (4, 4, 4, 4, 4, 4, 4)}),
    ("cnn", STROKES, {"norm": "batch", "kernel": 5, "dropout": 0.1}),
    ("resnet", IMAGE, {"channels": (4, 8), "depth": 2}),
    ("resnet", SERIES, {"channels": (4, 8)}),
    ("gru", IMAGE, {"width": 8}),
    ("gru", SERIES, {"width": 8, "depth": 2, "dropout": 0.1}),
    ("gru", STROKES, {"width": 8}),
]
TOKENS = DataShape((12,), 20, "token", 20)


@pytest.mark.parametrize(("kind", "size", "fields"), NUMERIC)
def test_a_batch_of_samples_gives_a_batch_of_outputs(kind: str, size: tuple[int, ...], fields: dict) -> None:
    model = models.KINDS[kind](**fields).build(DataShape(size, 10, "class"), BuildContext())
    assert model(torch.randn(5, *size)).shape == (5, 10)


@pytest.mark.parametrize("kind", ["gru", "transformer"])
def test_language_models_see_only_the_past(kind: str) -> None:
    model = models.KINDS[kind]().build(TOKENS, BuildContext()).eval()
    tokens = torch.arange(12)[None]
    changed = tokens.clone()
    changed[0, 6:] = 19
    before, after = model(tokens), model(changed)
    assert before.shape == (1, 12, 20)
    torch.testing.assert_close(before[:, :6], after[:, :6])
    assert not torch.allclose(before[:, 6:], after[:, 6:])


@pytest.mark.parametrize(("kind", "size", "fields"), NUMERIC)
def test_gradients_of_stacked_models_equal_those_of_each(kind: str, size: tuple[int, ...], fields: dict) -> None:
    fields = {**fields, "dropout": 0.0} if "dropout" in fields else fields
    made = [models.KINDS[kind](**fields).build(DataShape(size, 3, "class"), BuildContext()) for _ in range(3)]
    x, target = torch.randn(3, 6, *size), torch.randint(3, (3, 6))
    _assert_stacks(made, x, target)


@pytest.mark.parametrize("kind", ["gru", "transformer"])
def test_gradients_of_stacked_language_models_equal_those_of_each(kind: str) -> None:
    made = [models.KINDS[kind]().build(TOKENS, BuildContext()) for _ in range(3)]
    tokens = torch.randint(20, (3, 6, 12))
    _assert_stacks(made, tokens, tokens)


def _assert_stacks(made: list[torch.nn.Module], x: Tensor, target: Tensor) -> None:
    params, buffers = stack_module_state(made)

    def loss(params: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, target: Tensor) -> Tensor:
        output = functional_call(made[0], (params, buffers), (x,))
        return functional.cross_entropy(output.flatten(0, -2), target.flatten())

    with math_attention():  # as the engine stacks models
        stacked = vmap(grad(loss))({k: v.detach() for k, v in params.items()}, buffers, x, target)
    for number, model in enumerate(made):
        output = model(x[number])
        functional.cross_entropy(output.flatten(0, -2), target[number].flatten()).backward()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(stacked[name][number], parameter.grad, rtol=1e-4, atol=1e-6)


def test_the_seed_decides_the_weights_and_the_random_state_stays() -> None:
    task = build_task("d", models.KINDS["mlp"](), datasets.KINDS["digits"](), None, None, BuildContext())
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first, again, other = (seeded_model(task, seed).state_dict()["1.weight"] for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("kind", "shape", "message"),
    [
        ("mlp", TOKENS, "reads numbers, but this data set gives tokens"),
        ("linear", DataShape((), 3, "class"), "one tensor of a fixed shape"),
        ("cnn", DataShape((2, 3, 4, 5), 3, "class"), r"shape \(2, 3, 4, 5\); write kind: mlp"),
        ("mlp", DataShape((4,), 0, "class"), "does not say how many outputs"),
        ("transformer", DataShape((4,), 3, "class"), "sequences of tokens.*kind: text"),
        ("transformer", DataShape((4,), 3, "class", 9), "predicts a token at every position"),
    ],
)
def test_a_data_set_that_does_not_fit_is_explained(kind: str, shape: DataShape, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        models.KINDS[kind]().build(shape, BuildContext())


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("cnn", {"kernel": 4}, "got 4; try 5"),
        ("transformer", {"width": 30, "heads": 4}, "try width: 32"),
        ("mlp", {"hidden": (0,)}, "greater than or equal to 1"),
        ("mlp", {"hiden": (3,)}, "Extra inputs"),
        ("resnet", {"channels": ()}, "at least 1 item"),
    ],
)
def test_bad_fields_are_refused(kind: str, fields: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        models.KINDS[kind](**fields)


@pytest.mark.parametrize(
    ("kind", "fields", "data", "steps", "lr", "factor"),
    [
        ("linear", {}, ("digits", {}), 150, 0.01, 0.2),
        ("mlp", {}, ("digits", {}), 150, 0.003, 0.1),
        ("cnn", {}, ("digits", {}), 100, 0.01, 0.2),
        ("resnet", {"channels": (8, 16)}, ("digits", {"batch_size": 32}), 60, 0.01, 0.3),
        ("gru", {"width": 32}, ("digits", {"batch_size": 32}), 150, 0.01, 0.4),
        ("transformer", {"width": 32}, ("text", {"context": 32, "batch_size": 16}), 80, 0.01, 0.75),
        ("mlp", {}, ("spirals", {}), 300, 0.01, 0.2),
        ("mlp", {}, ("regression", {}), 200, 0.01, 0.2),
    ],
)
def test_it_learns(train, kind: str, fields: dict, data: tuple, steps: int, lr: float, factor: float) -> None:
    task = build_task("t", models.KINDS[kind](**fields), datasets.KINDS[data[0]](**data[1]), None, None, BuildContext())
    first, last = train(task, steps, lr)
    assert last < factor * first


def test_specifications_are_read_without_torch() -> None:
    code = (
        "import sys; from lrtool.tasks import models, datasets, losses, metrics;"
        "[r.KINDS.kinds for r in (models, datasets, losses, metrics)]; print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
    assert {"linear", "mlp", "cnn", "resnet", "gru", "transformer", "use"} <= set(models.KINDS.kinds)
    assert {"cross_entropy", "mse", "l1", "huber", "bce", "use"} <= set(losses.KINDS.kinds)
