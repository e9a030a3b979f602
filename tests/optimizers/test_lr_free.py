"""Optimizers that need no schedule or no LR: fields, and training with their own packages by hand as the reference."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from lrtool.engine.loop.checkpoint import Checkpoint
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.loop.training import Training
from lrtool.engine.trials import Recipe, Trial
from lrtool.engine.vector.proof.stackable import why_not_stackable
from lrtool.errors import MissingExtraError
from lrtool.optimizers import KINDS, Optimizer, ParamGroup
from lrtool.schedules import KINDS as SCHEDULES
from lrtool.status import Status
from lrtool.tasks.base import seeded_model
from lrtool.tasks.sources import BatchOrder, TensorSource
from tests.engine.contract import BATCH, SAMPLES, small_task, trial

STEPS, EVERY = 20, 6
SPECS: dict[str, Optimizer] = {
    "schedule_free_sgd": KINDS["schedule_free_sgd"](lr=0.5, momentum=0.8, weight_decay=0.01),
    "schedule_free_adamw": KINDS["schedule_free_adamw"](lr=0.02, beta1=0.95, weight_decay=0.01),
    "prodigy": KINDS["prodigy"](weight_decay=0.01, safeguard_warmup=True),
}


def packages(kind: str) -> Callable[[Any], torch.optim.Optimizer]:
    schedulefree, prodigyopt = pytest.importorskip("schedulefree"), pytest.importorskip("prodigyopt")
    made = {
        "schedule_free_sgd": lambda p: schedulefree.SGDScheduleFree(p, lr=0.5, momentum=0.8, weight_decay=0.01),
        "schedule_free_adamw": lambda p: schedulefree.AdamWScheduleFree(
            p, lr=0.02, betas=(0.95, 0.999), weight_decay=0.01
        ),
        "prodigy": lambda p: prodigyopt.Prodigy(p, weight_decay=0.01, safeguard_warmup=True),
    }
    return made[kind]


def by_hand(kind: str, dtype: torch.dtype) -> tuple[list[float], list[float], nn.Module]:
    """Training and validation losses, and the model as it is handed out, with the mode switched as the package asks."""
    task = small_task(dtype)
    assert isinstance(task.train, TensorSource) and isinstance(task.val, TensorSource) and task.loss is not None
    model = seeded_model(task, 0).train()
    optimizer: Any = packages(kind)(model.parameters())
    order, losses, validated = BatchOrder(0, SAMPLES, BATCH), [], []
    rows = [row for epoch in range(3) for row in torch.from_numpy(order.epoch(epoch))][:STEPS]

    def mode(name: str) -> None:
        if hasattr(optimizer, name):
            getattr(optimizer, name)()

    mode("train")
    for step, index in enumerate(rows, start=1):
        optimizer.zero_grad()
        loss = task.loss(model(task.train.inputs[0][index]), task.train.target[index])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % EVERY == 0 or step == STEPS:
            mode("eval")
            with torch.no_grad():
                validated.append(task.loss(model(task.val.inputs[0]), task.val.target).item())
            mode("train")
    mode("eval")
    return losses, validated, model


@pytest.mark.parametrize("kind", SPECS)
def test_training_is_that_of_the_package(kind: str) -> None:
    losses, validated, model = by_hand(kind, torch.float64)
    job = Trial(0, STEPS, {"lr": SCHEDULES["constant"]().bind(SPECS[kind].lr, STEPS)})
    training = Training(small_task(torch.float64), job, Recipe(SPECS[kind], eval_every=EVERY))
    while training.step < STEPS:
        assert training.advance()
        training.evaluate_if_due()
    np.testing.assert_allclose(training.trace.train_loss, losses, rtol=1e-10)
    np.testing.assert_allclose([e.values["val_loss"] for e in training.trace.evaluations], validated, rtol=1e-10)
    with training.answer():
        handed_out = {name: tensor.clone() for name, tensor in training.model.state_dict().items()}
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(handed_out[name], tensor, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", SPECS)
def test_resuming_is_exact(kind: str) -> None:
    packages(kind)
    recipe, job = Recipe(SPECS[kind], eval_every=EVERY), [trial(0, STEPS, SPECS[kind].lr)]
    saved: list[Checkpoint] = []
    engine = LoopEngine(checkpoint=lambda _, c: saved.append(c), checkpoint_every=8)
    (whole,) = engine.run(small_task(), job, recipe)
    (resumed,) = LoopEngine(resume={0: saved[0]}).run(small_task(), job, recipe)
    assert resumed.status is Status.FINISHED and resumed.train_loss.tolist() == whole.train_loss.tolist()
    assert resumed.evaluations == whole.evaluations


@pytest.mark.parametrize("kind", SPECS)
def test_they_do_not_stack_and_say_so(kind: str) -> None:
    assert why_not_stackable(small_task(), Recipe(SPECS[kind])) == f"the optimizer {kind} has no stacked form"


@pytest.mark.parametrize(("kind", "package"), [("schedule_free_sgd", "schedulefree"), ("prodigy", "prodigyopt")])
def test_without_the_package_the_extra_is_named(kind: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == package:
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=rf"{package} is not installed.*lrtool\[free\]"):
        SPECS[kind].build(nn.Linear(2, 1).named_parameters())


def test_prodigy_has_one_lr_and_keeps_stdout_clean(capsys: pytest.CaptureFixture[str]) -> None:
    packages("prodigy")
    with pytest.raises(ValidationError, match=r"groups\.0\.lr_scale is 0\.5; write 1, or 0"):
        KINDS["prodigy"](groups=(ParamGroup(match="*", lr_scale=0.5),))
    SPECS["prodigy"].build(nn.Linear(2, 1).named_parameters())
    assert capsys.readouterr().out == ""


def test_prodigy_finds_an_lr() -> None:
    packages("prodigy")
    recipe = Recipe(KINDS["prodigy"]())
    (trace,) = LoopEngine().run(small_task(), [trial(0, 300, 1.0)], recipe)
    assert trace.train_loss[-20:].mean() < 0.5 * trace.train_loss[:20].mean()
