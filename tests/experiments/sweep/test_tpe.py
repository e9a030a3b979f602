import contextlib
import importlib.util

import numpy as np
import pytest

from lrtool.config.sweep.combinations import Combination
from lrtool.config.sweep.schema import SweepConfig
from lrtool.errors import Interrupted, MissingExtraError
from lrtool.experiments.sweep.tpe import Known, _distribution, _told, next_samples
from lrtool.runs.sweep.store import SweepStore, read_trials
from lrtool.status import Status
from tests.experiments.sweep.test_sweep import newest, same_results, sweep  # noqa: F401

TPE = (
    "base: base.yaml\nrandom: {optimizer.lr: {log: [1e-4, 100]}, schedule: [cosine, {kind: wsd}]}\n"
    "samples: 15\nbatch: 5\nsampler: tpe\nseeds: 2\n"
)
NUMBERS = {"linear": [1, 3], "integer": True}

needs_optuna = pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="needs the package optuna")


def test_without_optuna_it_says_what_to_install(sweep, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("lrtool.experiments.sweep.tpe.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lrtool\[optuna\]'"):
        sweep(TPE)
    assert not (tmp_path / "out").exists()


def settled():
    """Asks for every key; `n` applies to cosine only."""

    def settled(value):
        settings = {"optimizer.lr": value("optimizer.lr"), "schedule": value("schedule")}
        if settings["schedule"] == "cosine":
            settings["n"] = value("n")
        return Combination("", settings, {}, 0)

    return settled


SPACE = {"optimizer.lr": {"log": [1e-4, 100]}, "schedule": ["cosine", {"kind": "wsd"}], "n": NUMBERS}


def searched(known):
    """60 samples in batches, each told by `known(settings, its distance from the best)`."""
    config = SweepConfig(base={}, random=SPACE, samples=60, sampler="tpe")
    told = []
    while len(told) < 60:
        drawn = next_samples(config, settled(), told, 10)
        assert drawn == next_samples(config, settled(), told, 10)
        for each in drawn:
            off = abs(np.log(each.settings["optimizer.lr"] / 0.1)) + (each.settings["schedule"] == "cosine")
            told.append(known(each.settings, float(off)))
    return [each.settings for each in told]


@needs_optuna
def test_later_samples_lie_nearer_to_what_did_well():
    samples = searched(lambda each, off: Known(each, None if each["optimizer.lr"] > 10 else off))
    assert all(1e-4 <= each["optimizer.lr"] <= 100 for each in samples)
    far = [abs(np.log(sample["optimizer.lr"] / 0.1)) for sample in samples]
    assert np.median(far[30:]) < 0.5 * np.median(far[:20])
    assert sum(sample["schedule"] != "cosine" for sample in samples[30:]) > 20


@needs_optuna
def test_a_key_that_does_not_apply_is_not_drawn():
    samples = searched(lambda each, off: Known(each, off))
    assert all((each["schedule"] == "cosine") == ("n" in each) for each in samples)
    assert {each["n"] for each in samples if "n" in each} == {1, 2, 3}


@needs_optuna
def test_losses_of_pruned_samples_lead_the_search_too():
    samples = searched(lambda each, off: Known(each, None, (1, off)))
    far = [abs(np.log(sample["optimizer.lr"] / 0.1)) for sample in samples]
    assert np.median(far[30:]) < 0.5 * np.median(far[:20])


@needs_optuna
def test_what_is_told_is_pruned_complete_or_neither():
    from optuna.trial import TrialState

    config = SweepConfig(base={}, random=SPACE, samples=60, sampler="tpe")
    space = {key: _distribution(values) for key, values in config.random.items()}
    some = {"optimizer.lr": 0.1, "schedule": {"kind": "wsd"}}
    pruned = _told(config, space, Known(some, None, (2, 0.5)))
    assert pruned.state is TrialState.PRUNED and pruned.intermediate_values == {2: 0.5}
    assert pruned.params == {"optimizer.lr": 0.1, "schedule": 1}
    assert _told(config, space, Known(some, 0.25, (2, 0.5))).value == 0.25
    lost = _told(config, space, Known(some))
    assert lost.state is TrialState.PRUNED and lost.intermediate_values == {}


@needs_optuna
def test_a_search_is_not_resumed_without_optuna(sweep, monkeypatch):  # noqa: F811
    run = sweep(TPE)
    before = read_trials(run.folder.path)
    monkeypatch.setattr("lrtool.experiments.sweep.tpe.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="optuna"):
        sweep(resume=run.folder)
    same_results(read_trials(run.folder.path), before)


@needs_optuna
def test_a_search_trains_as_many_samples_as_asked_for(sweep):  # noqa: F811
    trials = read_trials(sweep(TPE).folder.path)
    assert len(trials) == 30 and len({trial.variant for trial in trials}) == 15


CELLS = (
    "base: base.yaml\nvariants: {a: {schedule: cosine}, b: {schedule: constant}}\n"
    "grid: {optimizer: [{kind: sgd, lr: 1}, {kind: adam, lr: 1}]}\n"
    "random: {optimizer.lr: {log: [1e-4, 100]}, schedule.warmup: [0, 1, 2]}\nsamples: 9\nbatch: 3\nsampler: tpe\n"
    "where: {schedule.warmup: {schedule.kind: [cosine]}}\n"
)


@needs_optuna
def test_every_variant_and_grid_point_is_a_search_of_its_own(sweep):  # noqa: F811
    run = sweep(CELLS)
    trials = read_trials(run.folder.path)
    assert len(trials) == run.results["trials"]["planned"] == 4 * 9
    drawn = {}
    for trial in trials:
        drawn.setdefault((trial.settings["variant"], trial.settings["optimizer"]["kind"]), []).append(trial.settings)
    assert {len(samples) for samples in drawn.values()} == {9}
    # Warm-up is drawn where its condition holds; the first batch is the same where the same keys are drawn.
    assert all(("schedule.warmup" in each) == (name == "a") for (name, _), some in drawn.items() for each in some)
    lrs = {cell: [each["optimizer.lr"] for each in some] for cell, some in drawn.items()}
    assert lrs["a", "sgd"][:3] == lrs["a", "adam"][:3] and lrs["a", "sgd"][3:] != lrs["a", "adam"][3:]


PRUNED = CELLS + "prune: {kind: KIND, factor: 3, rungs: 1}\nseeds: 2\n"


@needs_optuna
@pytest.mark.parametrize("kind", ["halving", "asha"])
def test_samples_are_rivals_within_their_search_only(sweep, kind):  # noqa: F811
    trials = read_trials(sweep(PRUNED.replace("KIND", kind)).folder.path)
    assert len(trials) == 4 * 9 * 2 and not any(trial.status is Status.WAITING for trial in trials)
    finished = {}
    for trial in trials:
        cell = (trial.settings["variant"], trial.settings["optimizer"]["kind"])
        finished.setdefault(cell, set())
        if trial.status == "finished":
            finished[cell].add(trial.variant)
    # A third of nine, at least, in each.
    assert len(finished) == 4 and all(2 <= len(some) <= 5 for some in finished.values())


@needs_optuna
def test_each_sample_is_given_its_own_lr_where_that_is_tuned(sweep):  # noqa: F811
    text = (
        "base: base.yaml\nrandom: {optimizer.momentum: {linear: [0, 0.95]}}\nsamples: 3\nbatch: 2\nsampler: tpe\n"
        "tune: {budget: 8}\n"
    )
    run = sweep(text, base=("train.duration=30",))
    trials = read_trials(run.folder.path)
    assert len(run.results["tuned"]) == 3
    assert {trial.variant: trial.settings["optimizer.lr"] for trial in trials} == run.results["tuned"]


class Dying:
    """Interrupts at the n-th write to the store, before it is made."""

    def __init__(self, monkeypatch, left):
        self.left = left
        for name in ("record", "record_together", "remember"):
            monkeypatch.setattr(SweepStore, name, self._dying(getattr(SweepStore, name)))

    def _dying(self, real):
        def write(store, *arguments):
            self.left -= 1
            if self.left == 0:
                raise Interrupted(15)
            return real(store, *arguments)

        return write


@needs_optuna
@pytest.mark.parametrize("kind", [None, "halving", "asha"])
def test_an_interrupted_search_goes_on_with_the_same_samples(sweep, tmp_path, monkeypatch, kind):  # noqa: F811
    text = CELLS if kind is None else PRUNED.replace("KIND", kind)
    undisturbed = read_trials(sweep(text).folder.path)
    dying = Dying(monkeypatch, 12)
    with pytest.raises(Interrupted):
        sweep(text)
    folder, stops = newest(tmp_path), 0
    while dying.left <= 0:
        stops, dying.left = stops + 1, 13 + stops
        with contextlib.suppress(Interrupted):
            sweep(resume=folder)
    assert stops > 2
    same_results(read_trials(folder.path), undisturbed)
