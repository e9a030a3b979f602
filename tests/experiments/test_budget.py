"""What a tune may cost: all of it counted, and the same trials however busy the machine."""

import itertools
import random
import time
from types import SimpleNamespace

import pytest

from lrtool.analysis.search.best_lr import plan
from lrtool.engine import clock
from lrtool.engine.choice import Choice, Costs
from lrtool.engine.cost.amount import Amount
from lrtool.engine.cost.calibration import Memory, Seconds
from lrtool.engine.loop.speeds import LoopSpeed
from lrtool.engine.trials import EngineName
from lrtool.experiments.budget import Budget, coarse
from lrtool.experiments.engines import Engines
from lrtool.experiments.tune import run_tune
from lrtool.experiments.tune_result import Warning_


class Counted:
    """What was trained."""

    steps, validations = 0, 0


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def measured(monkeypatch):
    """Sets what is measured of a trial by itself."""

    def measured(update, validation, begin=0.0):
        monkeypatch.setattr("lrtool.engine.choice.loop_speed", lambda *_: LoopSpeed(update, validation, begin))

    return measured


def test_a_run_costs_its_own_validations_and_a_trial_its_one(configured, measured):
    measured(0.01, 0.04)
    setup = configured()  # 50 updates, validated after each of 5 epochs
    budget = Budget(setup, Counted(), Engines(), 10)
    assert setup.steps == 40 and budget.one == pytest.approx(40 * 0.01 + 5 * 0.04)
    assert budget.seconds == pytest.approx(10 * budget.one)
    assert budget.cost(1.0) == pytest.approx((40 + 4) / (40 + 5 * 4))
    assert budget.part(40, 5) == pytest.approx(1.0)


def test_without_validation_a_run_is_its_updates(configured, measured):
    measured(0.01, 0.0, begin=0.1)
    budget = Budget(configured(data__val_fraction=0.0), Counted(), Engines(), 10)
    assert budget.one == pytest.approx(0.1 + budget._setup.steps * 0.01) and budget.cost(0.5) == pytest.approx(0.5)


def test_all_that_is_done_counts_whether_or_not_it_trains(configured, measured, monkeypatch):
    measured(0.01, 0.0)
    now = [100.0]
    monkeypatch.setattr(clock, "worked", lambda: now[0])
    budget = Budget(configured(), Counted(), Engines(), 10)
    now[0] += 2 * budget.one  # compiling, say
    assert budget.spent_runs == pytest.approx(2.0) and budget.trained == 0


def test_heavy_validation_leaves_fewer_trials_of_a_budget():
    light, heavy = plan(20), plan(20, lambda fraction: fraction + 0.5)
    assert sum(r.lrs * r.seeds for r in heavy) < sum(r.lrs * r.seeds for r in light)
    for rungs, more in ((light, 0.0), (heavy, 0.5)):
        assert sum(r.lrs * r.seeds * (r.fraction + more) for r in rungs) <= 20 + 1e-9


def test_a_budget_of_seconds_is_rounded_so_that_little_changes_it(configured, measured):
    runs = []
    for update in (0.0095, 0.01, 0.0105):
        measured(update, 0.0)
        Memory().path.unlink(missing_ok=True)
        runs.append(Budget(configured(), Counted(), Engines(), None).runs)
    assert len(set(runs)) == 1 and 14 < runs[0] * 40 * 0.01 < 28.5
    assert coarse(1.0) == 1.0 and coarse(3.0) == pytest.approx(2**1.5) and coarse(0.0) == 0.0


class Fixed(Engines):
    """Engines that take so much of the time of one by one."""

    def __init__(self, part, wanted=EngineName.AUTO):
        super().__init__(wanted)
        self.part = part

    def expected(self, task, trial, recipe, amount):
        alone = amount.trials * self.chooser(task, trial, recipe).speed.trial(amount)
        return Choice(EngineName.LOOP, None, "fixed", Costs(Seconds.around(alone * self.part), alone, 1))


def doubled(limit):
    """Trials of half the run, as many as the limit holds."""
    return [Amount(int(2 * limit), 20, 0)]


@pytest.mark.parametrize(("part", "times"), [(1.0, 1), (0.5, 2), (0.3, 2), (0.12, 8), (0.01, 8)])
def test_a_budget_holds_as_many_times_more_trials_as_they_are_faster(configured, measured, part, times):
    measured(1.0, 0.0)
    budget = Budget(configured(), Counted(), Fixed(part * 0.95), 10)
    takes = budget.scaled(doubled)
    assert budget.limit == 10 * times and takes.likely <= budget.seconds


def test_what_the_plan_leaves_of_the_budget_may_be_trained_too_where_it_is_filled(configured, measured):
    measured(1.0, 0.0)
    setup = configured()
    budget = Budget(setup, Counted(), Fixed(1.0), 10)

    def half(limit):
        return [Amount(1, setup.steps * limit / 2, 0)]

    planned, filled = budget.scaled(half), budget.scaled(half, filled=True)
    assert filled.low == pytest.approx(planned.low, rel=0.01)
    assert filled.high == pytest.approx(2 * planned.high, rel=0.01)
    assert planned.likely < filled.likely < filled.high


def test_that_is_remembered_and_stands_unless_plainly_wrong(configured, measured):
    measured(1.0, 0.0)
    limits = []
    for part in (0.49, 0.55, 0.3, 0.9):  # 0.55: a busy day; 0.3: another machine would hold three times as many
        budget = Budget(configured(), Counted(), Fixed(part), 10)
        budget.scaled(doubled)
        limits.append(budget.limit)
    assert limits == [20, 20, 20, 10]


def test_the_loop_that_was_asked_for_trains_the_same_on_any_number_of_cores(configured, measured):
    measured(1.0, 0.0)
    budget = Budget(configured(), Counted(), Fixed(0.1, EngineName.LOOP), 10)
    budget.scaled(doubled)
    assert budget.limit == 10


def test_what_would_go_beyond_the_budget_shrinks_and_that_is_said(configured, measured, monkeypatch):
    measured(1.0, 0.0)
    now = [0.0]
    monkeypatch.setattr(clock, "worked", lambda: now[0])
    budget = Budget(configured(), Counted(), Fixed(1.0), 10)
    assert budget.allows(doubled(10)) == 1.0 and not budget.cut
    now[0] += 0.2 * budget.seconds  # not yet more than may be
    assert budget.allows(doubled(10)) == 1.0 and not budget.cut
    now[0] += 0.4 * budget.seconds
    assert budget.allows(doubled(10)) == pytest.approx(0.4, rel=0.01) and budget.cut
    now[0] += budget.seconds
    assert budget.allows(doubled(10)) == 0.0


def test_a_tune_that_takes_longer_than_was_thought_leaves_out_what_would_break_the_budget(
    configured, measured, silent, tmp_path, monkeypatch
):
    measured(4e-4, 0.0)
    setup = configured()
    monkeypatch.setattr(clock, "worked", lambda: 0.0)
    whole = run_tune(setup, tmp_path, silent, budget=30, engines=Engines(EngineName.LOOP))[1]
    seconds = itertools.count(step=100.0)  # each look at the clock is a hundred seconds later
    monkeypatch.setattr(clock, "worked", lambda: next(seconds))
    cut = run_tune(setup, tmp_path, silent, budget=30, engines=Engines(EngineName.LOOP))[1]
    assert Warning_.CUT in cut.warnings and Warning_.CUT not in whole.warnings
    assert cut.trials < whole.trials


def busy(monkeypatch):
    """A machine where others run between any two looks at the clock on the wall."""
    noise, real, queued, late = random.Random(0), time.perf_counter, clock._queued, [0.0]

    def perf_counter():
        late[0] += noise.uniform(0, 0.02)
        return real() + late[0]

    monkeypatch.setattr("lrtool.engine.clock.time", SimpleNamespace(perf_counter=perf_counter))
    monkeypatch.setattr(clock, "_queued", lambda: queued() + late[0])


@pytest.mark.parametrize("engine", list(EngineName))
def test_the_same_trials_are_trained_however_busy_the_machine_is(configured, silent, tmp_path, monkeypatch, engine):
    results = []
    for idle in (True, False):
        if not idle:
            busy(monkeypatch)
        run, result = run_tune(configured(), tmp_path, silent, 30, engines=Engines(engine))
        results.append((result.trials, run.steps, result.best.response.lr))
    assert results[0] == results[1]


def test_what_is_announced_is_a_range_and_what_it_took_is_in_runs(configured, silent, tmp_path):
    said = []
    run, result = run_tune(configured(), tmp_path, silent, budget=30, say=said.append)
    (line,) = said
    assert "training runs" in line and " to " in line
    cost = run.folder.summary()["cost"]
    low, high = cost["announced_seconds"]
    assert low < high and cost["seconds_of_one_run"] > 0
    assert cost["runs"] == pytest.approx(result.runs, abs=0.01)
