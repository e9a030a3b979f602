import importlib.util

import numpy as np
import pytest

from lrtool.config.sweep import SweepConfig
from lrtool.errors import Interrupted, MissingExtraError
from lrtool.experiments.tpe import next_samples
from lrtool.runs.store import StoredTrial, read_trials
from tests.experiments.test_sweep import StopAfter, newest, same_results, sweep  # noqa: F401

TPE = (
    "base: base.yaml\nrandom: {optimizer.lr: {log: [1e-4, 100]}, schedule: [cosine, {kind: wsd}]}\n"
    "samples: 15\nbatch: 5\nsampler: tpe\nseeds: 2\n"
)
NUMBERS = {"linear": [1, 3], "integer": True}

needs_optuna = pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="needs the package optuna")


def test_without_optuna_it_says_what_to_install(sweep, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("lrtool.experiments.tpe.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lrtool\[optuna\]'"):
        sweep(TPE)
    assert not (tmp_path / "out").exists()


@needs_optuna
def test_later_samples_lie_nearer_to_what_did_well():
    space = {"optimizer.lr": {"log": [1e-4, 100]}, "schedule": ["cosine", {"kind": "wsd"}], "n": NUMBERS}
    config = SweepConfig(base={}, random=space, samples=60, sampler="tpe")
    samples, trials = [], []
    while len(samples) < 60:
        drawn = next_samples(config, samples, trials, 10)
        assert drawn == next_samples(config, samples, trials, 10)
        for sample in drawn:
            off = abs(np.log(sample["optimizer.lr"] / 0.1)) + (sample["schedule"] == "cosine")
            status = "diverged" if sample["optimizer.lr"] > 10 else "finished"
            values = {"val_loss": off} if status == "finished" else {}
            variant = str(len(samples))
            trials.append(StoredTrial(len(samples), variant, sample, 0, status, 1, 0.0, values))
            samples.append(sample)
    assert all(1e-4 <= each["optimizer.lr"] <= 100 and each["n"] in (1, 2, 3) for each in samples)
    far = [abs(np.log(sample["optimizer.lr"] / 0.1)) for sample in samples]
    assert np.median(far[30:]) < 0.5 * np.median(far[:20])
    assert sum(sample["schedule"] != "cosine" for sample in samples[30:]) > 20


@needs_optuna
def test_a_search_trains_as_many_samples_as_asked_for(sweep):  # noqa: F811
    trials = read_trials(sweep(TPE).folder.path)
    assert len(trials) == 30 and len({trial.variant for trial in trials}) == 15


@needs_optuna
@pytest.mark.parametrize("count", [3, 17])
def test_an_interrupted_search_goes_on_with_the_same_samples(sweep, tmp_path, count):  # noqa: F811
    undisturbed = read_trials(sweep(TPE).folder.path)
    with pytest.raises(Interrupted):
        sweep(TPE, board=StopAfter(count))
    folder = newest(tmp_path)
    sweep(resume=folder)
    same_results(read_trials(folder.path), undisturbed)
