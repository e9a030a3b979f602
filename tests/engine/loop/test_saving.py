"""When there is time to save, and that it changes no result."""

from __future__ import annotations

import signal
from typing import Any

import numpy as np
import pytest

from lrtool.engine.loop.checkpoint import Checkpoint
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.loop.saving import SaveBudget
from lrtool.engine.trials import Recipe
from lrtool.errors import Interrupted
from tests.engine.contract import small_task, trial
from tests.engine.loop.test_engine import SGD, SignalAt


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def saves(costs: list[float], epoch: float, epochs: int, small_file: float, size: int = 0) -> list[tuple[float, float]]:
    """When a run of so many epochs saves, and what it has spent by then; save n takes costs[n], later ones the last."""
    clock = Clock()
    budget, made, spent = SaveBudget(0.02, small_file, clock), [], 0.0
    for _ in range(epochs):
        clock.now += epoch
        if budget.allows(size):
            with budget.spending():
                cost = costs[min(len(made), len(costs) - 1)]
                clock.now += cost
            spent += cost
            made.append((clock.now - 100, spent))
    return made


@pytest.mark.parametrize("cost", [0.001, 0.01, 0.1, 3.0])
@pytest.mark.parametrize("epoch", [0.005, 0.3, 20.0])
def test_saving_takes_its_part_and_no_more(cost: float, epoch: float) -> None:
    length = max(100 * epoch, 600 * cost)
    made = saves([cost], epoch, round(length / epoch), small_file=cost / 3)
    assert all(spent <= 0.02 * (elapsed + 1e-9) for elapsed, spent in made)
    # It is used, too: at every end of an epoch, or nearly all of the time that there is for it.
    assert len(made) >= min(0.9 * length / epoch, 0.8 * 0.02 * length / cost)


def test_the_first_save_comes_soon_on_a_usual_disk() -> None:
    assert saves([0.01], epoch=0.01, epochs=1000, small_file=0.003)[0][0] < 1
    assert saves([0.01], epoch=3600.0, epochs=2, small_file=0.003)[0][0] == pytest.approx(3600, abs=1)


def test_a_slow_disk_and_a_large_model_put_the_first_save_off() -> None:
    slow = saves([2.0], epoch=1.0, epochs=400, small_file=0.7)
    large = saves([2.0], epoch=1.0, epochs=400, small_file=0.001, size=200_000_000)
    assert 100 <= slow[0][0] <= 110 and 100 <= large[0][0] <= 105


def test_a_disk_that_becomes_slow_is_paid_back() -> None:
    made = saves([0.01, 0.01, 5.0, 0.01], epoch=0.1, epochs=5000, small_file=0.003)
    (before, _), (after, spent) = made[2], made[3]
    assert after - before >= 240 and spent <= 0.02 * (after + 1e-9)


def test_what_fails_counts_as_spent() -> None:
    clock = Clock()
    budget = SaveBudget(0.02, 0.0, clock)
    with pytest.raises(OSError), budget.spending():
        clock.now += 10
        raise OSError
    assert not budget.allows(0, ahead=400) and budget.allows(0, ahead=1000)


@pytest.mark.parametrize("share", [0.0, -1.0, float("nan")])
def test_a_share_of_nothing_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share > 0"):
        SaveBudget(share, 0.0)


def run(every: int, budget: SaveBudget | None) -> tuple[Any, list[int]]:
    saved: list[int] = []
    engine = LoopEngine(
        checkpoint=lambda _, state: saved.append(state.step), checkpoint_every=every, save_budget=budget
    )
    (trace,) = engine.run(small_task(dropout=0.2), [trial(0, 60, 0.1)], Recipe(SGD, eval_every=25))
    return trace, saved


def test_results_do_not_depend_on_when_it_is_saved() -> None:
    """Never, always, or now and then: chunks end elsewhere, losses are the same to the last bit."""
    never, at_end = run(10, SaveBudget(1e-9, 1.0))
    always, all_of_them = run(10, SaveBudget(1e9, 0.0))
    plain, known = run(0, None)
    assert at_end == known == [60] and all_of_them == [10, 20, 30, 40, 50, 60]
    for trace in (never, always):
        np.testing.assert_array_equal(trace.train_loss, plain.train_loss)
        assert trace.evaluations == plain.evaluations


def test_a_signal_saves_whatever_it_costs() -> None:
    saved: list[Checkpoint] = []
    engine = LoopEngine(
        checkpoint=lambda _, state: saved.append(state), checkpoint_every=5, save_budget=SaveBudget(1e-9, 1.0)
    )
    watched = SignalAt(signal.SIGTERM, 10)
    with pytest.raises(Interrupted):
        engine.run(small_task(), [trial(0, 5000, 0.1)], Recipe(SGD), watched)
    assert [each.step for each in saved] == [watched.traces[0].steps]
