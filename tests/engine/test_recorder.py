"""Where a trace is cut, and that chunks leave no mark."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrtool.analysis.divergence import RANGE_TEST, DivergenceRule, first_divergence
from lrtool.engine.recorder import DivergenceWatch, Recorder
from lrtool.engine.trials import Evaluation
from lrtool.status import Status
from tests.engine.contract import trial

CPU = torch.device("cpu")


def first(losses: list[float], cuts: list[int], rule: DivergenceRule | None) -> tuple[int, str] | None:
    """What a watch says of losses that come in pieces."""
    watch = DivergenceWatch(rule)
    for piece in np.split(np.array(losses), sorted(cut % (len(losses) + 1) for cut in cuts)):
        if found := watch.first(piece):
            return found
    return None


@given(
    st.lists(st.floats(-10, 10) | st.sampled_from([1e6, np.nan, np.inf]), min_size=1, max_size=60),
    st.lists(st.integers(0, 60), max_size=6),
)
def test_cuts_do_not_matter(losses: list[float], cuts: list[int]) -> None:
    for rule in (RANGE_TEST, None):
        assert first(losses, cuts, rule) == first(losses, [], rule)


def test_without_a_rule_only_a_non_finite_loss_counts() -> None:
    assert first([1.0, 1e30, 1e38, np.nan, 1.0], [], None) == (3, "the loss became nan at update 3")
    assert first([1.0, 1e30, 1e38], [], None) is None


def test_an_explosion_before_a_nan_comes_first() -> None:
    losses = [2.0 - 0.01 * t for t in range(30)] + [1e3] * 20 + [float("nan")]
    at = first_divergence(losses[:-1], RANGE_TEST)
    assert at is not None and at < 50
    assert first(losses, [], RANGE_TEST) == (at, f"the loss exploded at update {at}")


def recorded(losses: list[float], rule: DivergenceRule | None = None) -> Recorder:
    recorder = Recorder(trial(0, 10, 0.1), ["momentum", "grad_norm", "grad_norm_l1"], rule, CPU)
    recorder.trace.evaluations += [Evaluation(1, {"val_loss": 1.0}), Evaluation(3, {"val_loss": 1.0})]
    recorder.begin({"lr": np.arange(1.0, 1 + len(losses)), "momentum": np.full(len(losses), 0.9)})
    for loss in losses:
        recorder.add(torch.tensor(loss), torch.tensor([2 * loss, 5 * loss]), 0.5)
    return recorder


def test_columns_arrive_with_the_flush() -> None:
    recorder = recorded([3.0, 2.0])
    assert recorder.trace.steps == 0
    assert recorder.flush() is False
    trace = recorder.trace
    assert trace.train_loss.tolist() == [3, 2]
    assert trace.lr.tolist() == [1, 2]
    assert trace.seconds.tolist() == [0.5, 0.5]
    assert {name: column.tolist() for name, column in trace.recorded.items()} == {
        "momentum": [0.9, 0.9],
        "grad_norm": [6, 4],
        "grad_norm_l1": [15, 10],
    }
    assert recorder.flush() is False and trace.steps == 2


def test_a_trace_ends_with_the_first_non_finite_loss() -> None:
    recorder = recorded([3.0, float("inf"), 1.0])
    assert recorder.flush() is True
    trace = recorder.trace
    assert (trace.status, trace.reason) == (Status.DIVERGED, "the loss became inf at update 1")
    assert trace.train_loss.tolist() == [3, np.inf]
    assert trace.lr.shape == trace.recorded["momentum"].shape == (2,)
    assert [each.step for each in trace.evaluations] == [1]


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_an_asynchronous_device_shares_the_chunks_time(kind: str) -> None:
    recorder = Recorder(trial(0, 10, 0.1), [], None, torch.device(kind))
    recorder.begin({"lr": np.ones(3)})
    for seconds in (0.1, 0.2, 0.3):
        recorder.add(torch.tensor(1.0), None, seconds)
    recorder.flush()
    assert len(set(recorder.trace.seconds)) == 1 and recorder.trace.seconds[0] > 0
