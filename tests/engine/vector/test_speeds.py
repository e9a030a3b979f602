"""Speeds of stacks: what is timed, remembered and derived."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lrtool.engine.cost.amount import Amount
from lrtool.engine.trials import Recipe
from lrtool.engine.vector.plan import StackPlanner
from lrtool.engine.vector.speeds import StackSpeed, grown, stack_speed
from lrtool.optimizers import KINDS
from tests.engine.contract import small_task, trial
from tests.engine.loop.test_speeds import slow_to_validate

pytestmark = pytest.mark.usefixtures("own_cache")

RECIPE = Recipe(KINDS["sgd"](lr=0.1))


def stack(update: float, validation: float) -> StackSpeed:
    """A stack that takes so long whatever its size."""
    return StackSpeed({2: update, 512: update}, {2: validation, 512: validation}, 0.0, 1)


def test_validation_is_timed_for_every_size() -> None:
    task = slow_to_validate()
    planner = StackPlanner(task, [trial(0, 20, 0.1)], RECIPE)
    measured = stack_speed(task, RECIPE, planner.costs.update, 8, float("inf"))
    assert all(0.02 <= seconds < 0.5 for seconds in measured.validations.values())
    without = stack_speed(small_task(val=False), RECIPE, planner.costs.update, 8, float("inf"))
    assert not without.validations and without.validation(8) == 0


def test_a_validation_that_would_take_long_is_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = list[tuple[int, bool]]()

    def timed(task: object, recipe: object, update: object, size: int, once: bool) -> float:
        calls.append((size, once))
        return 0.1 * size

    monkeypatch.setattr("lrtool.engine.vector.speeds._validation", timed)
    planner = StackPlanner(small_task(), [trial(0, 20, 0.1)], RECIPE)
    measured = stack_speed(small_task(), RECIPE, planner.costs.update, 8, float("inf"))
    assert calls == [(1, False), (8, True)] and measured.validations == {1: 0.1, 8: 0.8}


def test_a_stack_without_hope_is_not_measured_further(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its validation once, and that of the smallest stack."""
    taken = {1: 1.0, 2: 1.7, 8: 6.0}
    monkeypatch.setattr("lrtool.engine.vector.speeds.usual_update", lambda *given: given[-1])
    monkeypatch.setattr("lrtool.engine.clock.best_time", lambda once, _: taken.get(once, 0.1))
    monkeypatch.setattr("lrtool.engine.clock.timed", lambda once, _: once() and 3.0)
    monkeypatch.setattr("lrtool.engine.vector.speeds._validation", lambda *given: 0.01 if given[-1] else 0.02)
    update = StackPlanner(small_task(), [trial(0, 20, 0.1)], RECIPE).costs.update
    lost = stack_speed(small_task(), RECIPE, update, 8, 0.6)
    assert lost.updates == {1: 1.0, 2: 1.7} and lost.validations == {1: 0.01}
    # Where there is more to train, compiling it may pay: it is gone on from there.
    hopeful = stack_speed(small_task(), RECIPE, update, 8, 1.0, lost)
    assert hopeful.updates == taken and hopeful.validations == {1: 0.01, 8: 0.02}


@pytest.mark.parametrize(
    ("updates", "ended"),
    [
        ({1: 1.0}, False),
        ({1: 1.0, 2: 1.1}, False),  # noise of a stack that costs as much for two as for one
        ({1: 1.0, 2: 1.5}, True),
        ({1: 1.0, 2: 1.2, 8: 1.5}, False),
        ({1: 1.0, 2: 1.2, 8: 3.6}, True),
    ],
)
def test_what_another_trial_adds_tells_whether_there_is_hope(updates: dict[int, float], ended: bool) -> None:
    assert grown(updates, 512, 0.05, (1, 2, 8, 32)) is ended
    assert not grown(updates, 512, 10.0, (1, 2, 8, 32))


@pytest.mark.parametrize(("updates", "size"), [({2: 1.0, 8: 1.0, 32: 8.0}, 8), ({2: 1.0, 8: 4.0}, 2)])
def test_the_size_of_a_stack_is_the_one_that_ends_soonest(updates: dict[int, float], size: int) -> None:
    assert StackSpeed(updates, {}, 0.0, 1).best_size(Amount(16, 100, 0), 64) == size


@pytest.mark.parametrize("junk", [None, 3, {}, {"update": "x"}, {"updates": {"a": 1}}, {"updates": {}}])
def test_what_is_remembered_wrongly_is_measured_again(junk: object) -> None:
    assert StackSpeed.parse(junk) is None
    assert StackSpeed.parse(stack(1.0, 2.0).document()) == stack(1.0, 2.0)


def test_watching_each_trial_counts_whatever_the_size_of_the_stack() -> None:
    amount = Amount(8, 100, 0)
    silent, watched = stack(0.01, 0.0), StackSpeed({2: 0.01, 512: 0.01}, {}, 0.0, 1, watch=1e-4)
    for size in (2, 8):
        assert watched.seconds(amount, size) - silent.seconds(amount, size) == pytest.approx(8 * 100 * 1e-4)
    assert StackSpeed.parse(watched.document()) == watched
    planner = StackPlanner(small_task(), [trial(0, 20, 0.1)], RECIPE)
    measured = stack_speed(small_task(), RECIPE, planner.costs.update, 2, float("inf"))
    unwatched = stack_speed(
        small_task(), replace(RECIPE, stop_on_divergence=False), planner.costs.update, 2, float("inf")
    )
    assert measured.watch > unwatched.watch >= 0


def test_recording_counts_once_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = StackSpeed({2: 0.01, 512: 0.01}, {}, 0.0, 1, ready=0.4)
    for trials in (8, 64):
        amount = Amount(trials, 100, 0)
        assert ready.seconds(amount, 8) - stack(0.01, 0.0).seconds(amount, 8) == pytest.approx(0.4)
    assert StackSpeed.parse(ready.document()) == ready
    planner = StackPlanner(small_task(), [trial(0, 20, 0.1)], RECIPE)
    assert stack_speed(small_task(), RECIPE, planner.costs.update, 2, float("inf")).ready == 0
    monkeypatch.setattr("lrtool.engine.vector.speeds.replays", lambda _: True)
    monkeypatch.setattr("lrtool.engine.clock.timed", lambda once, _: once() or 1.0)
    monkeypatch.setattr("lrtool.engine.clock.best_time", lambda *_: 0.1)
    # Five of its updates are done meanwhile, and a call records twice.
    assert stack_speed(small_task(), RECIPE, planner.costs.update, 2, float("inf")).ready == pytest.approx(2 * 0.5)
