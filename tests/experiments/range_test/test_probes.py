from dataclasses import replace

import numpy as np
import pytest

from lrtool.analysis.range_test import analyse
from lrtool.analysis.range_test_result import Caveat
from lrtool.analysis.search.probe_plan import ProbePlan
from lrtool.analysis.search.short_runs import LRS, centre
from lrtool.config.schema import Config
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.vector.engine import VectorEngine
from lrtool.experiments.final import final_loss
from lrtool.experiments.range_test.probes import SEEDS
from lrtool.experiments.range_test.probes import probed as probing
from lrtool.experiments.range_test.ramp import losses_of, range_test_trials
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


def probed(setup, ramp, steps, run, plan=None, **more):
    """The range test as probes of so many updates make it, all of them unless there is another plan."""
    plan = plan or ProbePlan(steps, LRS, SEEDS, whole=True)
    return probing(setup, plan, centre(ramp, setup.config.optimizer.lr, plan.lrs), run, **more).read(ramp)


class Engine:
    """The loop engine, with what it was asked."""

    def __init__(self, setup):
        self.setup, self.calls = setup, []

    def __call__(self, trials):
        self.calls.append(trials)
        return LoopEngine().run(self.setup.task, trials, self.setup.recipe)


class Stacked(Engine):
    """The vector engine, which is faster."""

    def __call__(self, trials):
        self.calls.append(trials)
        return VectorEngine(compile=False).run(self.setup.task, trials, self.setup.recipe)


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


NOISY_LABELS = """
import torch

def load():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(400, 20, generator=g)
    y = (x[:, :2].sum(1) > 0).long()
    wrong = torch.rand(400, generator=g) < 0.3
    y = torch.where(wrong, torch.randint(2, (400,), generator=g), y)
    return (x[:100], y[:100]), (x[100:], y[100:])
"""


@pytest.fixture(scope="module")
def overfitting(tmp_path_factory):
    """A setup whose long training learns wrong labels by heart, and its ramp."""
    folder = tmp_path_factory.mktemp("noisy")
    (folder / "noisy.py").write_text(NOISY_LABELS)
    config = Config.model_validate(
        {
            "model": {"kind": "mlp", "hidden": [64]},
            "data": {"kind": "use", "use": "noisy.py:load", "batch_size": 20},
            "loss": "cross_entropy",
            "optimizer": {"kind": "adam", "lr": 0.01},
            "train": {"duration": 480},
            "range_test": {"steps": 60},
        }
    )
    setup = prepare(config.beside(folder))
    trials = range_test_trials(setup)
    traces = LoopEngine().run(replace(setup.task, val=None), trials, setup.recipe)
    return setup, analyse(trials[0].curves["lr"].table(), losses_of(traces, 60))


def test_probes_that_overfit_are_made_longer_and_a_smaller_lr_is_suggested(overfitting):
    setup, ramp = overfitting
    engine = Stacked(setup)
    found = probed(setup, ramp, 40, engine)
    lengths = [trial.steps for call in engine.calls for trial in call]
    assert set(lengths) == {40, 160} and lengths[-1] == 160
    assert Caveat.OVERFITTING in found.caveats
    assert "160 updates each, 1/3 of the run" in found.source
    lrs = found.suggestion.value * np.array([1 / 2, 1.0, 3.0, 6.0])
    losses = [final_loss(trace) for trace in engine([setup.trial(50, lr) for lr in lrs])]
    assert losses[1] < 0.9 * losses[2] < 0.9 * losses[3]
    assert losses[1] < 1.05 * losses[0]


def test_probes_as_long_as_the_training_need_be_no_longer(overfitting):
    setup, ramp = overfitting
    engine = Stacked(setup)
    found = probed(setup, ramp, 480, engine)
    assert {trial.steps for call in engine.calls for trial in call} == {480}
    assert Caveat.OVERFITTING not in found.caveats and "of the run" not in found.source


def test_a_probe_is_never_longer_than_the_training(setup, ramp):
    engine = Engine(setup)
    probed(setup, ramp, 1000, engine)
    assert {trial.steps for call in engine.calls for trial in call} == {80}


def test_where_every_probe_diverges_the_ramp_is_left_as_it_was(setup, ramp):
    engine = Engine(setup)

    def diverging(trials):
        steep = [replace(trial, curves={"lr": setup.curves(1e9, 20)["lr"]}) for trial in trials]
        return engine(steep)

    found = probed(setup, ramp, 20, diverging)
    assert found.suggestion == ramp.suggestion and found.source == ramp.source
    assert found.probes and all(np.isnan(probe.loss) for probe in found.probes)
    assert len(engine.calls) > 1
