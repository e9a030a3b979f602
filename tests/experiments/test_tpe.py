import importlib.util

import numpy as np
import pytest

from lrtool.errors import Interrupted, MissingExtraError
from lrtool.runs.store import read_trials
from tests.experiments.test_sweep import StopAfter, newest, same_results, sweep  # noqa: F401

TPE = (
    "base: base.yaml\nrandom: {optimizer.lr: {log: [1e-4, 100]}, schedule: [cosine, {kind: wsd}]}\n"
    "samples: 15\nbatch: 5\nsampler: tpe\nseeds: 2\n"
)
LONGER = ("train.duration=40",)

needs_optuna = pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="needs the package optuna")


def test_without_optuna_it_says_what_to_install(sweep, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("lrtool.experiments.tpe.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lrtool\[optuna\]'"):
        sweep(TPE)
    assert not (tmp_path / "out").exists()


@needs_optuna
def test_later_samples_lie_nearer_to_what_did_well(sweep):  # noqa: F811
    run = sweep(TPE, base=LONGER)
    trials = read_trials(run.folder.path)
    assert len(trials) == 30 and {trial.seed for trial in trials} == {0, 1}
    lrs = np.array([trial.settings["optimizer.lr"] for trial in trials])
    assert len(set(lrs.tolist())) == 15 and (lrs >= 1e-4).all() and (lrs <= 100).all()
    best = min((t for t in trials if t.status == "finished"), key=lambda t: t.values["val_loss"])
    far = np.abs(np.log(lrs / best.settings["optimizer.lr"]))
    assert np.median(far[20:]) < np.median(far[:10])


@needs_optuna
@pytest.mark.parametrize("count", [3, 17])
def test_an_interrupted_search_goes_on_with_the_same_samples(sweep, tmp_path, count):  # noqa: F811
    undisturbed = read_trials(sweep(TPE).folder.path)
    with pytest.raises(Interrupted):
        sweep(TPE, board=StopAfter(count))
    folder = newest(tmp_path)
    sweep(resume=folder)
    same_results(read_trials(folder.path), undisturbed)
