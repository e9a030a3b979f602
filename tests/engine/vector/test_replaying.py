"""Updates that are recorded on a GPU: when they are, and that nothing but the time it takes changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from lrtool.engine.trials import Recipe
from lrtool.engine.vector.engine import VectorEngine
from lrtool.engine.vector.plan import Plan
from lrtool.engine.vector.replaying import replayed, replays
from lrtool.engine.vector.speeds import sizes_tried
from lrtool.status import Status
from tests.engine.contract import PLAIN, small_task, trial

RECIPE = Recipe(PLAIN, eval_every=20)
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """This machine's device counts as one that records; gives the calls of what was recorded."""
    calls: list[int] = []

    def called(function: Callable[..., Sequence[Tensor]], fixed: Sequence[Tensor], changed: int) -> object:
        def step(rows: Tensor, h: Tensor) -> Sequence[Tensor]:
            calls.append(changed)
            return function([*fixed, rows, h])

        return step

    for module in ("compiling", "plan", "costs"):
        monkeypatch.setattr(f"lrtool.engine.vector.{module}.replays", lambda _: True)
    monkeypatch.setattr("lrtool.engine.vector.compiling.replayed", called)
    return calls


def trained(steps: int, compile: bool | None = None, device: str = "cpu", **more: float) -> tuple[Plan, list[float]]:
    plans: list[Plan] = []
    engine = VectorEngine(slots=2, compile=compile, planned=plans.append)
    trials = [trial(seed, steps, 0.1) for seed in range(3)]
    traces = engine.run(small_task(**more), trials, replace(RECIPE, device=torch.device(device)))
    assert all(each.status is Status.FINISHED for each in traces)
    return plans[0], [float(loss) for each in traces for loss in each.train_loss]


def test_a_cpu_records_nothing() -> None:
    assert not replays(torch.device("cpu")) and replays(torch.device("cuda"))
    plan, _ = trained(120)
    assert plan.compiled is None and "recorded" not in plan.reason


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_call_of_many_updates_is_recorded_and_trains_the_same(pretended: list[int], dropout: float) -> None:
    plan, losses = trained(120, dropout=dropout)
    assert plan.compiled is not None and plan.reason.startswith("recorded as a CUDA graph; not compiled: ")
    assert len(pretended) >= 240
    _, plain = trained(120, compile=False, dropout=dropout)
    assert losses == pytest.approx(plain, rel=1e-5)


def test_a_few_updates_are_not_worth_it_and_who_wants_the_plain_one_gets_it(pretended: list[int]) -> None:
    assert trained(20)[0].compiled is None
    assert trained(120, compile=False)[0].compiled is None and not pretended


def test_what_cannot_be_recorded_is_trained_as_it_is_and_it_is_said(
    pretended: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr("lrtool.engine.vector.compiling.replayed", lambda *_: broken)
    plan, _ = trained(120)
    assert plan.compiled is None
    assert "not recorded: RuntimeError: operation not permitted when stream is capturing" in plan.reason


def test_a_gpu_is_tried_with_few_sizes() -> None:
    assert len(sizes_tried(torch.device("cuda"))) < len(sizes_tried(torch.device("cpu")))


@GPU
@pytest.mark.gpu
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_recording_trains_as_the_plain_update_does(dropout: float) -> None:
    plan, losses = trained(120, device="cuda", dropout=dropout)
    assert plan.compiled is not None and "CUDA graph" in plan.reason
    assert losses == pytest.approx(trained(120, compile=False, device="cuda", dropout=dropout)[1], rel=1e-4)
    assert losses == trained(120, device="cuda", dropout=dropout)[1]


@GPU
@pytest.mark.gpu
def test_a_recording_changes_what_it_is_given_and_nothing_before_it_is_called() -> None:
    state, added = torch.zeros(3, device="cuda"), torch.ones(3, device="cuda")

    def function(given: list[Tensor]) -> Sequence[Tensor]:
        held, other, rows, h = given
        held.add_(other * h)
        return held.sum() + rows, held * 2

    step = replayed(function, [state, added], 1)
    assert not state.any()
    found = [step(torch.tensor(n, device="cuda"), torch.full((3,), 1.0 + n, device="cuda")) for n in range(3)]
    assert np.allclose([float(total) for total, _ in found], [3, 10, 20])
    assert state.tolist() == [6.0] * 3 and found[0][1].tolist() == [2.0] * 3
