"""Plans of stacks: compiling is begun only where it pays."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lrtool.engine.vector.compiling import usual_seconds
from lrtool.engine.vector.costs import StackCosts
from lrtool.engine.vector.plan import Plan, StackPlanner
from lrtool.engine.vector.speeds import StackSpeed
from tests.engine.contract import small_task, trial
from tests.engine.cost.test_calibration import compile_times
from tests.engine.vector.test_speeds import RECIPE

pytestmark = pytest.mark.usefixtures("own_cache")


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


def test_what_a_compile_took_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    # Another test of this process may have compiled the same.
    monkeypatch.setattr("lrtool.engine.vector.compiling._KNOWN", {})
    planner = StackPlanner(small_task(), [trial(seed, 10, 0.1) for seed in range(4)], RECIPE, compile=True)
    plan = planner.plan()
    if plan.compiled is None:
        pytest.skip(plan.reason)
    assert len(compile_times()._factors()) == 1
    again = StackPlanner(small_task(), [trial(seed, 10, 0.1) for seed in range(4)], RECIPE, compile=True)
    again.plan()  # known to this process: no news
    assert len(compile_times()._factors()) == 1 and again.costs.known_operators() > 50
