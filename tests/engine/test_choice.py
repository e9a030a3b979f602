"""What the choice of an engine and the decision to compile go by: seconds of these trials, whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lrtool.engine.choice import Chooser
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.speeds import Amount, LoopSpeed, StackSpeed, loop_speed, stack_speed, validations
from lrtool.engine.trials import EngineName, Recipe
from lrtool.engine.vector import calibration
from lrtool.engine.vector.compiling import usual_seconds
from lrtool.engine.vector.costs import StackCosts
from lrtool.engine.vector.engine import VectorEngine
from lrtool.engine.vector.plan import Plan, StackPlanner
from lrtool.optimizers import KINDS
from lrtool.tasks.base import Metric, Task
from tests.engine.contract import small_task, trial

RECIPE = Recipe(KINDS["sgd"](lr=0.1))


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


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


def stack(update: float, validation: float) -> StackSpeed:
    """A stack that takes so long whatever its size."""
    return StackSpeed({2: update, 512: update}, {2: validation, 512: validation}, 0.0, 1)


def test_a_trial_is_validated_as_often_as_it_says_and_at_its_end() -> None:
    task = small_task()
    assert [validations(task, 10, every) for every in (0, 3, 5, 10, 20)] == [1, 4, 2, 1, 1]
    assert validations(small_task(val=False), 10, 3) == 0


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
    choice = knowing(LoopSpeed(0.1, 0.0, 0.0), stack(0.1, 1e-6)).choose(Amount(8, 100, 0))
    assert "in about 7.5 to 12 s; the loop would take 60 to 100 s" in choice.reason
    assert choice.costs.seconds.low < choice.costs.seconds.likely < choice.costs.seconds.high
    assert choice.costs.one_by_one / choice.costs.seconds.likely == pytest.approx(8)


class Slow:
    """A metric that takes its time."""

    def __call__(self, output: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        time.sleep(0.01)
        return output.argmax(-1) == truth


def slow_to_validate() -> Task:
    return replace(small_task(), metrics={"slow": Metric("slow", Slow())})


def test_validation_is_timed_for_both_engines() -> None:
    task = slow_to_validate()
    # 21 samples in batches of 16: two calls of the metric.
    assert 0.02 <= loop_speed(task, trial(0, 20, 0.1), RECIPE).validation < 0.5
    planner = StackPlanner(task, [trial(0, 20, 0.1)], RECIPE)
    measured = stack_speed(task, RECIPE, planner.costs.update, 8, float("inf"))
    assert all(0.02 <= seconds < 0.5 for seconds in measured.validations.values())
    without = stack_speed(small_task(val=False), RECIPE, planner.costs.update, 8, float("inf"))
    assert not without.validations and without.validation(8) == 0


def test_a_stack_without_hope_is_not_measured_further() -> None:
    planner = StackPlanner(small_task(), [trial(0, 20, 0.1)], RECIPE)
    assert max(stack_speed(small_task(), RECIPE, planner.costs.update, 512, -1.0).updates) == 8


@pytest.mark.parametrize(("updates", "size"), [({2: 1.0, 8: 1.0, 32: 8.0}, 8), ({2: 1.0, 8: 4.0}, 2)])
def test_the_size_of_a_stack_is_the_one_that_ends_soonest(updates: dict[int, float], size: int) -> None:
    assert StackSpeed(updates, {}, 0.0, 1).best_size(Amount(16, 100, 0), 64) == size


@pytest.mark.parametrize("junk", [None, 3, {}, {"update": "x"}, {"updates": {"a": 1}}, {"updates": {}}])
def test_what_is_remembered_wrongly_is_measured_again(junk: object) -> None:
    assert LoopSpeed.parse(junk) is None and StackSpeed.parse(junk) is None
    for good in (LoopSpeed(1e-3, 0.0, 0.1),):
        assert LoopSpeed.parse(vars(good)) == good
    assert StackSpeed.parse(stack(1.0, 2.0).document()) == stack(1.0, 2.0)


def compile_times() -> calibration.CompileTimes:
    return calibration.CompileTimes(calibration.Memory(), torch.device("cpu"))


def test_compile_times_are_wide_where_none_was_measured_and_go_by_the_upper_end_of_those_that_were() -> None:
    times = compile_times()
    assert times.expected(5.0).low == 5.0 and times.expected(5.0).high == 15.0
    times.add(5.0, 75.0)
    assert times.expected(5.0).high > 75.0 and times.expected(10.0).likely == pytest.approx(150.0)
    for _ in range(29):
        times.add(5.0, 5.0)
    # One slow compile among thirty is no longer what has to be feared.
    assert 5.0 < times.expected(5.0).high < 6.0
    assert compile_times().expected(5.0) == times.expected(5.0)


@pytest.fixture
def compiling(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plan]:
    """The plan of 64 trials whose uncompiled updates take so long in all; compiling is only begun, and fails."""

    def plan(seconds: float, compile: bool | None = None) -> Plan:
        trials = [trial(seed, 1000, 0.1) for seed in range(64)]
        each = seconds / 1000
        speed = StackSpeed({2: each / 2, 512: each}, {}, 0.0, 1)
        monkeypatch.setattr(StackCosts, "known_speed", lambda _: speed)
        monkeypatch.setattr("lrtool.engine.vector.plan.missing_compiler", lambda _: None)

        def begun(_: object) -> None:
            raise RuntimeError("it was begun")

        monkeypatch.setattr("lrtool.engine.vector.plan.compiled", begun)
        return StackPlanner(small_task(), trials, RECIPE, compile=compile).plan()

    return plan


def test_compiling_is_never_begun_where_it_cannot_pay_if_it_takes_as_long_as_it_may(
    compiling: Callable[..., Plan],
) -> None:
    assert "it would save about" in compiling(1.0).reason
    assert "it would take about" in compiling(15.0).reason and "it was begun" not in compiling(15.0).reason
    assert "it was begun" in compiling(500.0).reason
    assert "it was begun" in compiling(1.0, compile=True).reason


def test_remembered_compile_times_are_used(compiling: Callable[..., Plan]) -> None:
    times = compile_times()
    for _ in range(5):
        times.add(usual_seconds(100), 50 * usual_seconds(100))
    assert "it would take about" in compiling(300.0).reason
    for _ in range(30):
        times.add(usual_seconds(100), 0.1 * usual_seconds(100))
    assert "it was begun" in compiling(15.0).reason


def test_what_a_compile_took_is_remembered() -> None:
    planner = StackPlanner(small_task(), [trial(seed, 10, 0.1) for seed in range(4)], RECIPE, compile=True)
    plan = planner.plan()
    if plan.compiled is None:
        pytest.skip(plan.reason)
    assert len(compile_times()._factors()) == 1
    again = StackPlanner(small_task(), [trial(seed, 10, 0.1) for seed in range(4)], RECIPE, compile=True)
    again.plan()  # known to this process: no news
    assert len(compile_times()._factors()) == 1 and again._known_operators() > 50


def test_a_pace_that_was_measured_changes_what_is_expected_and_is_remembered_by_half(knowing: Chosen) -> None:
    loop, fast = LoopSpeed(1e-3, 0.0, 0.0), stack(4e-3, 1e-6)
    chooser = knowing(loop, fast)
    amount = Amount(8, 1000, 0)
    assert isinstance(chooser.choose(amount).engine, VectorEngine)
    chooser.heard(EngineName.VECTOR, 4.0, 12.0)
    assert isinstance(chooser.choose(amount).engine, LoopEngine)
    assert chooser.expected(EngineName.VECTOR, amount) == pytest.approx(12.0)
    assert knowing(loop, fast).expected(EngineName.VECTOR, amount) == pytest.approx(4.0 * 3**0.5)
