"""The line search along updates, against updates of torch's own optimizers that are really done."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lrtool.engine.batches import Batches, batch_loss, take
from lrtool.engine.loop.critical import critical_looks
from lrtool.engine.loop.training import Training
from lrtool.engine.trials import Recipe, Trial
from lrtool.errors import MissingExtraError
from lrtool.optimizers import KINDS
from lrtool.schedules.curve import Curve
from lrtool.tasks.base import Task, seeded_model
from lrtool.tasks.sources import TensorSource
from tests.engine.contract import small_task

CPU = torch.device("cpu")
AT = (0, 3, 7)
#: Its update is bounded, not in proportion to the LR; `use` needs code.
LEFT_OUT = {"adafactor", "use"}
#: How much of an update is averaged depends on its LR, beside those before: it is in proportion at the first alone.
AVERAGING = {"schedule_free_sgd", "schedule_free_adamw"}


def constant(lr: float, steps: int, seed: int = 0) -> Trial:
    return Trial(seed, steps, {"lr": Curve(lambda t: np.full_like(t, lr), steps, lr)})


def after(task: Task, recipe: Recipe, steps: int, lr: float, last: float) -> tuple[float, float]:
    """The loss on the batch of update `steps`, before it and after it is done with LR `last`; the others have `lr`."""
    torch.manual_seed(0)
    model = seeded_model(task, 0).train()
    optimizer, batches = recipe.optimizer.build(model), Batches(task, 0, CPU)
    hyperparameters = recipe.optimizer.hyperparameters()
    losses = []
    for step in range(steps + 1):
        batch = take(task.train, batches(step))
        optimizer.zero_grad()
        loss = batch_loss(task, model, batch)[0]
        loss.backward()
        if recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
        recipe.optimizer.apply(optimizer, last if step == steps else lr, hyperparameters)
        optimizer.step()
        losses = [float(loss.detach()), float(batch_loss(task, model, batch)[0].detach())]
    return losses[0], losses[1]


@pytest.mark.parametrize("kind", sorted(set(KINDS.kinds) - LEFT_OUT))
def test_an_update_below_it_lowers_the_loss_and_one_above_raises_it(kind: str) -> None:
    try:
        KINDS[kind].model_validate({"kind": kind, **KINDS[kind].starting}).build(nn.Linear(2, 2))
    except MissingExtraError as missing:
        pytest.skip(str(missing))
    spec = KINDS[kind].model_validate({"kind": kind, **KINDS[kind].starting})
    task, recipe, lr = small_task(val=False), Recipe(spec), spec.lr
    at = (0,) if kind in AVERAGING else AT
    found = critical_looks(task, constant(lr, 8), recipe, at)
    assert [look.step for look in found] == [*at]
    known = [look for look in found if look.lr is not None]
    assert len(known) >= (len(at) + 1) / 2
    for look in known:
        assert look.lr is not None and look.passes <= 10
        before, below = after(task, recipe, look.step, lr, look.lr / 1.3)
        _, above = after(task, recipe, look.step, lr, look.lr * 1.3)
        assert below < before < above, look


@pytest.mark.parametrize("more", [{"clip_norm": 0.01}, {"accumulate": 3}, {"precision": "bf16"}])
def test_clipping_accumulation_and_precision_are_those_of_training(more: dict[str, Any]) -> None:
    task, plain = small_task(val=False), Recipe(KINDS["sgd"](lr=0.1, momentum=0.9))
    usual = critical_looks(task, constant(0.1, 4), plain, (3,))[0].lr
    found = critical_looks(task, constant(0.1, 4), replace(plain, **more), (3,))[0].lr
    assert usual is not None and found is not None
    # A gradient clipped to a hundredth goes as far with an LR so many times as large.
    assert (found > 20 * usual) if "clip_norm" in more else (0.2 < found / usual < 5)


def test_of_a_quadratic_it_is_what_algebra_says() -> None:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(40, 5, generator=generator, dtype=torch.float64) * torch.tensor([5.0, 2, 1, 0.5, 0.1])
    y = x @ torch.randn(5, 1, generator=generator, dtype=torch.float64) + 1
    task = Task(
        "quadratic", lambda: nn.Linear(5, 1, bias=False).double(), TensorSource((x,), y), None, 40, nn.MSELoss(), {}
    )
    (found,) = critical_looks(task, constant(1e-3, 1), Recipe(KINDS["sgd"](lr=0.1)), (0,))
    weight = seeded_model(task, 0).weight.detach().reshape(-1, 1)  # type: ignore[union-attr,operator]
    gradient = 2 / 40 * x.T @ (x @ weight - y)
    curvature = float((gradient.T @ (2 / 40 * x.T @ x) @ gradient) / (gradient.T @ gradient))
    assert found.lr == pytest.approx(2 / curvature, rel=0.2)


class Normed(nn.Sequential):
    """With statistics in buffers, and dropout that draws."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))


def test_looking_changes_nothing_that_training_has(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[nn.Module] = []

    def kept() -> nn.Module:
        made.append(Normed())
        return made[-1]

    task = replace(small_task(val=False), new_model=kept)
    recipe, state = Recipe(KINDS["adamw"](lr=0.01)), torch.get_rng_state()
    critical_looks(task, constant(0.01, 8), recipe, AT)
    looked = made[-1]
    assert torch.equal(torch.get_rng_state(), state)
    training = Training(task, constant(0.01, 8), recipe)
    with torch.random.fork_rng():
        from lrtool.engine import rng

        rng.seed_training(0, CPU)
        while training.step < 8:
            training.advance()
    for name, value in training.model.state_dict().items():
        # The weights are put together from the update's beginning and its direction, which rounds.
        torch.testing.assert_close(looked.state_dict()[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_weights_that_no_update_moves_have_no_critical_lr() -> None:
    frozen = KINDS["sgd"].model_validate({"kind": "sgd", "lr": 0.1, "groups": [{"match": "*", "lr_scale": 0.0}]})
    found = critical_looks(small_task(val=False), constant(0.1, 4), Recipe(frozen), (0, 3))
    assert [look.lr for look in found] == [None, None]


def test_a_training_that_breaks_down_is_looked_at_up_to_there() -> None:
    x = torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
    task = Task("regression", lambda: nn.Linear(6, 1), TensorSource((x,), x[:, :1]), None, 8, nn.MSELoss(), {})
    found = critical_looks(task, constant(1e30, 8), Recipe(KINDS["sgd"](lr=0.1)), AT, start=0.1)
    assert 1 <= len(found) < len(AT) and found[0].lr is not None


def test_sparse_gradients_are_followed_too() -> None:
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.out = nn.Embedding(9, 4, sparse=True), nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> Any:
            return self.out(self.embedding(x).mean(1))

    words = torch.arange(60).reshape(20, 3) % 9
    task = Task("words", Words, TensorSource((words,), words[:, 0] // 3), None, 10, nn.functional.cross_entropy, {})
    (found,) = critical_looks(task, constant(0.1, 1), Recipe(KINDS["sgd"](lr=0.1)), (0,))
    recipe = Recipe(KINDS["sgd"](lr=0.1))
    assert found.lr is not None
    before, below = after(task, recipe, 0, 0.1, found.lr / 1.3)
    assert below < before < after(task, recipe, 0, 0.1, found.lr * 1.3)[1]


def test_it_holds_one_copy_of_the_weights_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    copies: list[int] = []
    clone = torch.Tensor.clone

    def counted(self: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
        copies.append(self.numel())
        return clone(self, *given, **named)

    task = small_task(val=False)
    size = sum(p.numel() for p in task.new_model().parameters())
    monkeypatch.setattr(torch.Tensor, "clone", counted)
    monkeypatch.setattr(copy, "deepcopy", lambda *_: pytest.fail("a deep copy"))
    critical_looks(task, constant(0.1, 1), Recipe(KINDS["sgd"](lr=0.1)), (0,))
    assert sum(copies) == size
