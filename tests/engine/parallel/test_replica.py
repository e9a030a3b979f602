"""Copies of a model train as one model does: the same losses, norms, validation and checkpoints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lrtool.engine.loop.checkpoint import Checkpoint
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.parallel.ranks import ALONE, Ranks
from lrtool.engine.trials import Recipe, Trace
from lrtool.optimizers import KINDS
from lrtool.tasks.base import BuildContext, Task
from lrtool.tasks.losses.cross_entropy import CrossEntropy
from lrtool.tasks.sources import TensorSource
from tests.engine.contract import small_task, trial
from tests.engine.parallel.processes import together

STEPS = 24
SGD = KINDS["sgd"](lr=0.05, momentum=0.9)


class Net(nn.Module):
    """What copies may stumble over: batch norm, a layer that is not used, a buffer, an output that is no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Linear(16, 3)
        self.unused = nn.Linear(2, 2)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        self.calls += 1
        return {"logits": self.last(self.norm(self.first(x)).tanh())}


def hard_task(dtype: torch.dtype = torch.float32) -> Task:
    """Uneven batches (84 samples by 13, with a last one of 6), targets that do not count, weights of classes."""
    task = small_task(dtype)
    assert isinstance(task.train, TensorSource)
    target = task.train.target.clone()
    target[::5] = -100
    loss: Any = CrossEntropy(class_weights=(1.0, 3.0, 0.5), label_smoothing=0.1).build(BuildContext())
    return replace(
        task,
        new_model=lambda: Net().to(dtype),
        train=replace(task.train, target=target),
        batch_size=13,
        drop_last=False,
        loss=_OfLogits(loss),
        metrics={},
    )


class _OfLogits:
    """A loss of one's own that says what it divides by."""

    def __init__(self, loss: Any) -> None:
        self._loss = loss

    def __call__(self, output: Any, target: Any) -> Tensor:
        value: Tensor = self._loss(output["logits"], target)
        return value

    def weight(self, output: Any, target: Any) -> Any:
        return self._loss.weight(output["logits"], target)


def hard_recipe() -> Recipe:
    return Recipe(SGD, accumulate=3, clip_norm=0.5, record_grad_norm=True, eval_every=7)


def trained(ranks: Ranks, task: Task, recipe: Recipe, resume: Any = None) -> tuple[Trace, list[Checkpoint]]:
    """The trace of a trial, and its checkpoints, the last of them first."""
    kept: list[Checkpoint] = []
    engine = LoopEngine(
        checkpoint=lambda _, state: kept.insert(0, state),
        checkpoint_every=10,
        resume={0: resume} if resume is not None else {},
        best=lambda *_: None,
        ranks=ranks,
    )
    (trace,) = engine.run(task, [trial(3, STEPS, 0.05)], recipe)
    # Curves are formulas, and cannot be sent.
    trace.trial = None  # type: ignore[assignment]
    return trace, kept


def assert_same(found: Trace, wanted: Trace, rtol: float = 1e-5) -> None:
    np.testing.assert_allclose(found.train_loss, wanted.train_loss, rtol=rtol)
    for name, column in wanted.recorded.items():
        np.testing.assert_allclose(found.recorded[name], column, rtol=10 * rtol)
    assert [each.step for each in found.evaluations] == [each.step for each in wanted.evaluations]
    for one, other in zip(found.evaluations, wanted.evaluations, strict=True):
        assert one.values == pytest.approx(other.values, rel=10 * rtol)


@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.deep)])
def test_copies_train_as_one_process_does(tmp_path: Path, size: int) -> None:
    alone, saved = trained(ALONE, hard_task(), hard_recipe())
    first, *others = together(tmp_path, size, lambda ranks: trained(ranks, hard_task(), hard_recipe()))
    assert_same(first[0], alone)
    for trace, kept in others:
        np.testing.assert_array_equal(trace.train_loss, first[0].train_loss)
        assert kept == []
    # What is saved goes on in another number of processes, and in one.
    middle = first[1][1]
    assert middle.step == 20
    assert_same(trained(ALONE, hard_task(), hard_recipe(), middle)[0], alone)
    tmp_path.joinpath("store").unlink()
    (again, _), *_ = together(tmp_path, 2, lambda ranks: trained(ranks, hard_task(), hard_recipe(), saved[1]))
    assert_same(again, alone)


@pytest.mark.deep
@pytest.mark.parametrize("sharded", [False, True], ids=["copies", "shards"])
@pytest.mark.parametrize("size", [2, 3])
def test_what_differs_is_rounding(tmp_path: Path, size: int, sharded: bool) -> None:
    # In double precision nothing else could be as small.
    alone, _ = trained(ALONE, hard_task(torch.float64), hard_recipe())

    def work(ranks: Ranks) -> Any:
        ranks.sharded = sharded
        return trained(ranks, hard_task(torch.float64), hard_recipe())

    (trace, _), *_ = together(tmp_path, size, work)
    assert_same(trace, alone, rtol=1e-12)
    assert not np.array_equal(trace.train_loss, alone.train_loss)


@pytest.mark.deep
@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_shards_train_as_one_process_does(tmp_path: Path, name: str) -> None:
    recipe = Recipe(KINDS[name](lr=0.01), accumulate=2, clip_norm=0.5, record_grad_norm=True, eval_every=7)

    def sharded(ranks: Ranks, resume: Any = None) -> Any:
        ranks.sharded = not ranks.alone
        return trained(ranks, small_task(), recipe, resume)

    alone, saved = sharded(ALONE)
    (trace, kept), *_ = together(tmp_path, 2, sharded)
    assert_same(trace, alone)
    assert saved[0].tensors.keys() == kept[0].tensors.keys()
    assert all(kept[0].tensors[key].shape == tensor.shape for key, tensor in saved[0].tensors.items())
    assert_same(sharded(ALONE, kept[1])[0], alone)
    tmp_path.joinpath("store").unlink()
    (again, _), *_ = together(tmp_path, 3, lambda ranks: sharded(ranks, saved[1]))
    assert_same(again, alone)
