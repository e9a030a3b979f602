"""What the choice of an engine and the decision to compile go by: seconds of these trials, whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lrtool.engine.choice import Chooser
from lrtool.engine.cost.amount import Amount
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.loop.speeds import LoopSpeed
from lrtool.engine.trials import EngineName
from lrtool.engine.vector.costs import StackCosts
from lrtool.engine.vector.engine import VectorEngine
from lrtool.engine.vector.speeds import StackSpeed
from tests.engine.contract import small_task, trial
from tests.engine.vector.test_speeds import RECIPE, stack

pytestmark = pytest.mark.usefixtures("own_cache")


Chosen = Callable[[LoopSpeed, StackSpeed], Chooser]


@pytest.fixture
def knowing(monkeypatch: pytest.MonkeyPatch) -> Chosen:
    """Makes a chooser that has measured these speeds; nothing can be compiled."""

    def make(loop: LoopSpeed, stack: StackSpeed) -> Chooser:
        monkeypatch.setattr("lrtool.engine.choice.known_loop_speed", lambda *_: loop)
        monkeypatch.setattr(StackCosts, "known_speed", lambda _: stack)
        monkeypatch.setattr("lrtool.engine.vector.plan.missing_compiler", lambda _: "none here")
        monkeypatch.setattr("lrtool.engine.choice.can_fork", lambda _: False)
        return Chooser(small_task(), trial(0, 10, 0.1), RECIPE)

    return make


def test_validation_decides_where_updates_alone_would_say_the_opposite(knowing: Chosen) -> None:
    faster = knowing(LoopSpeed(1e-3, 0.01, 0.0), stack(4e-3, 3.0))
    assert isinstance(faster.choose(Amount(8, 1000, 0)).engine, VectorEngine)
    assert isinstance(faster.choose(Amount(8, 1000, 10)).engine, LoopEngine)
    slower = knowing(LoopSpeed(1e-3, 1.0, 0.0), stack(10e-3, 0.1))
    assert isinstance(slower.choose(Amount(8, 1000, 0)).engine, LoopEngine)
    assert isinstance(slower.choose(Amount(8, 1000, 10)).engine, VectorEngine)


def test_so_does_building_a_model_for_every_trial(knowing: Chosen) -> None:
    chooser = knowing(LoopSpeed(1e-3, 0.0, 0.5), stack(10e-3, 1e-6))
    assert isinstance(chooser.choose(Amount(8, 10, 0)).engine, VectorEngine)
    assert isinstance(chooser.choose(Amount(8, 10_000, 0)).engine, LoopEngine)


def test_few_updates_of_a_large_model_are_no_reason_not_to_measure(knowing: Chosen) -> None:
    # 9 trials of 37 updates: what a stack made 73 s of where one by one took 12.
    chooser = knowing(LoopSpeed(0.02, 0.1, 0.01), stack(0.4, 2.0))
    assert isinstance(chooser.choose(Amount(9, 37, 1)).engine, LoopEngine)


def test_both_times_are_said_as_ranges(knowing: Chosen) -> None:
    choice = knowing(LoopSpeed(0.01, 0.0, 0.0), stack(0.01, 1e-6)).choose(Amount(8, 1000, 0))
    assert "in about 7.5 to 12 s; the loop would take 60 to 100 s" in choice.text
    assert choice.costs.seconds.low < choice.costs.seconds.likely < choice.costs.seconds.high
    assert choice.costs.one_by_one / choice.costs.seconds.likely == pytest.approx(8)


def test_a_large_model_is_looked_into_only_where_there_is_much_to_train(knowing: Chosen) -> None:
    """What looking costs is known before: about as long as a hundred updates take."""
    chooser = knowing(LoopSpeed(0.1, 0.0, 0.0), stack(0.1, 1e-6))
    chooser._obstacle = None
    choice = chooser.choose(Amount(8, 100, 0))
    assert choice.name is EngineName.LOOP and "look into stacks" in choice.reason and not chooser.is_obstructed
    chooser.stake = 200.0
    assert chooser.choose(Amount(8, 100, 0)).name is EngineName.VECTOR


def test_nothing_is_tried_of_models_of_which_no_two_fit_a_stack(
    knowing: Chosen, monkeypatch: pytest.MonkeyPatch
) -> None:
    chooser = knowing(LoopSpeed(1e-3, 0.0, 0.0), stack(1e-3, 1e-6))
    assert chooser._work is not None
    monkeypatch.setattr("lrtool.engine.vector.costs.stack_budget", lambda _: chooser._work.held)
    choice = chooser.choose(Amount(8, 1000, 0))
    assert choice.name is EngineName.LOOP and "more memory than a stack may" in choice.reason
    assert chooser._obstacle is None


def test_a_stack_that_is_hardly_faster_is_not_taken(knowing: Chosen) -> None:
    slow = knowing(LoopSpeed(1e-3, 0.0, 0.0), stack(7.5e-3, 1e-6)).choose(Amount(8, 1000, 0))
    assert slow.name is EngineName.LOOP and "stacking is not faster" in slow.reason


def test_a_pace_that_was_measured_changes_what_is_expected_and_is_remembered_by_half(knowing: Chosen) -> None:
    loop, fast = LoopSpeed(1e-3, 0.0, 0.0), stack(4e-3, 1e-6)
    chooser = knowing(loop, fast)
    amount = Amount(8, 1000, 0)
    assert isinstance(chooser.choose(amount).engine, VectorEngine)
    chooser.heard(EngineName.VECTOR, 4.0, 12.0)
    assert isinstance(chooser.choose(amount).engine, LoopEngine)
    assert chooser.expected(EngineName.VECTOR, amount) == pytest.approx(12.0)
    assert knowing(loop, fast).expected(EngineName.VECTOR, amount) == pytest.approx(4.0 * 3**0.5)
