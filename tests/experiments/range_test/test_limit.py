from dataclasses import replace

from lrtool.analysis.range_test import analyse
from lrtool.analysis.range_test_result import LrEstimate
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.trials import Trial
from lrtool.experiments.range_test.limit import with_limit
from lrtool.experiments.range_test.ramp import losses_of, range_test_trials
from lrtool.experiments.range_test.range_test import run_range_test
from lrtool.schedules import KINDS as SCHEDULES


def engine(setup):
    return lambda trials: LoopEngine().run(replace(setup.task, val=None), trials, setup.recipe)


def ramp_of(setup):
    trials = range_test_trials(setup)
    return analyse(trials[0].curves["lr"].table(), losses_of(engine(setup)(trials), setup.config.range_test.steps))


def test_the_limit_is_where_constant_trainings_stop_working(configured):
    setup = configured(data={"kind": "regression", "batch_size": 24}, loss="mse", model={"kind": "linear"})
    found = with_limit(setup, ramp_of(setup), 40, engine(setup)).stability

    def breaks(lr):
        trials = [Trial(seed, 40, {"lr": SCHEDULES["constant"]().bind(lr, 40)}) for seed in (0, 1)]
        losses = [trace.train_loss for trace in engine(setup)(trials)]
        return [len(row) < 40 or not row[-4:].mean() < row[:8].mean() for row in losses]

    assert found.low < found.value < found.high
    assert breaks(found.low / 2) == [False, False] and breaks(found.high * 2) == [True, True]


def test_a_wrong_reading_of_the_ramp_is_corrected(configured):
    setup = configured()
    ramp = ramp_of(setup)
    right = with_limit(setup, ramp, 40, engine(setup)).stability
    wrong = replace(ramp, stability=LrEstimate(right.value / 200, right.value / 300, right.value / 100))
    corrected = with_limit(setup, wrong, 40, engine(setup)).stability
    assert 0.5 < corrected.value / right.value < 2


def test_a_run_of_a_few_updates_has_the_limit_that_longer_ones_show(configured):
    setup = configured(train__duration=3)
    ramp, asked = ramp_of(setup), []

    def run(trials):
        asked.extend(trial.steps for trial in trials)
        return engine(setup)(trials)

    found = with_limit(setup, ramp, 40, run).stability
    assert set(asked) == {20}
    assert found is None or found.low <= found.value <= found.high


def test_a_flat_ramp_measures_nothing(configured):
    setup = configured(range_test__start=1e-9, range_test__end=1e-8)
    ramp = ramp_of(setup)
    assert with_limit(setup, ramp, 40, lambda trials: []) is ramp


def test_the_range_test_reports_the_measured_limit(configured, silent, tmp_path):
    run, result = run_range_test(
        configured(range_test__probe_steps=40, range_test__steps=150, range_test__seeds=3), tmp_path, silent
    )
    summary = run.folder.summary()
    assert summary["stability_limit"] == result.stability.value
    # The peak of one-cycle is held for a moment only, so it may lie above what a constant LR survives, but not far.
    assert summary["suggested_lr"] < 2 * summary["stability_limit"]
    low, high = summary["stability_interval"]
    assert low <= summary["stability_limit"] <= high
    assert summary["steps"] > 2 * 60
