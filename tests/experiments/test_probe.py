from dataclasses import replace

import numpy as np
import pytest

from lrtool.analysis.range_test import analyse
from lrtool.config.schema import Config
from lrtool.engine.loop import LoopEngine
from lrtool.experiments.probe import SEEDS, probed
from lrtool.experiments.range_test import losses_of, range_test_trials
from lrtool.experiments.setup import prepare


@pytest.fixture(scope="module")
def setup():
    return prepare(
        Config.model_validate(
            {
                "model": {"kind": "linear"},
                "data": {"kind": "regression", "samples": 200, "features": 4, "batch_size": 16},
                "optimizer": {"kind": "sgd", "lr": 0.01},
                "schedule": {"kind": "cosine"},
                "train": {"duration": 80},
                "range_test": {"steps": 60},
            }
        )
    )


class Engine:
    """The loop engine, with what it was asked."""

    def __init__(self, setup):
        self.setup, self.calls = setup, []

    def __call__(self, trials):
        self.calls.append(trials)
        return LoopEngine().run(self.setup.task, trials, self.setup.recipe)


@pytest.fixture(scope="module")
def ramp(setup):
    trials = range_test_trials(setup)
    traces = LoopEngine().run(replace(setup.task, val=None), trials, setup.recipe)
    return analyse(trials[0].curves["lr"].table(), losses_of(traces, 60))


def test_probes_are_short_trainings_under_the_configs_own_schedule(setup, ramp):
    engine = Engine(setup)
    found = probed(setup, ramp, 20, engine)
    trials = [trial for call in engine.calls for trial in call]
    assert {trial.steps for trial in trials} == {20}
    assert {trial.seed for trial in trials} == set(range(SEEDS))
    whole = setup.curves(trials[0].curves["lr"].peak, 80)["lr"](np.arange(0, 80, 4))
    np.testing.assert_allclose(trials[0].curves["lr"].table(), whole)
    assert found.suggestion is not None and found.suggestion != ramp.suggestion


def test_the_suggestion_trains_nearly_as_well_as_the_best_lr(setup, ramp):
    lr = probed(setup, ramp, 40, Engine(setup)).suggestion.value
    lrs = lr * 2.0 ** np.arange(-4, 5)
    traces = LoopEngine().run(setup.task, [setup.trial(50, each) for each in lrs], setup.recipe)
    losses = np.array([trace.evaluations[-1].values["val_loss"] if trace.evaluations else np.inf for trace in traces])
    assert losses[4] <= 1.1 * losses.min()


def test_a_probe_is_never_longer_than_the_training(setup, ramp):
    engine = Engine(setup)
    probed(setup, ramp, 1000, engine)
    assert {trial.steps for call in engine.calls for trial in call} == {80}


def test_where_every_probe_diverges_the_ramp_is_left_as_it_was(setup, ramp):
    engine = Engine(setup)

    def diverging(trials):
        steep = [replace(trial, curves={"lr": setup.curves(1e9, 20)["lr"]}) for trial in trials]
        return engine(steep)

    assert probed(setup, ramp, 20, diverging) is ramp
    assert len(engine.calls) > 1
