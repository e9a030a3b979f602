"""What a sweep leaves is a function of its trials: not of what was measured, nor of what was interrupted when."""

import csv
import importlib.util
import itertools
import json

import pytest

from lrtool.engine.loop.speeds import LoopSpeed
from lrtool.engine.observer import Observer
from lrtool.engine.trials import EngineName
from lrtool.experiments import tune
from lrtool.experiments.engines import Engines
from lrtool.experiments.prior.start import bound_lr
from lrtool.experiments.sweep.options import Options
from lrtool.experiments.sweep.sweep import resume_sweep, run_sweep
from lrtool.experiments.sweep.variant_lrs import TunedLRs
from lrtool.report.terminal.board import SweepBoard
from lrtool.runs.folder import RunFolder
from lrtool.runs.sweep.store import read_trials
from tests.experiments.resuming.test_searches import Killed
from tests.experiments.sweep.test_sweep import StopAfter, newest, same_results, sweep  # noqa: F401

needs_optuna = pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="needs the package optuna")
DRAWN = "random: {optimizer.lr: {log: [1e-3, 10]}, schedule: [cosine, constant]}\nsamples: 4\nseeds: 2\n"
SWEEPS = {
    "grid": "base: base.yaml\ngrid: {model.hidden: [[4], [8]], optimizer.lr: {log: [0.01, 1], points: 3}, seed: 2}\n",
    "tpe": f"base: base.yaml\n{DRAWN}sampler: tpe\nbatch: 2\nprune: {{kind: asha, factor: 2, rungs: 1}}\n",
    "halving": f"base: base.yaml\n{DRAWN}prune: {{factor: 2, rungs: 1}}\n",
}


def kept(folder):
    """All that is left, but for the times taken."""
    summary = {key: value for key, value in folder.summary().items() if key != "seconds"}
    rows = [{**row, "seconds": ""} for row in csv.DictReader((folder.path / "trials.csv").open())]
    return summary, rows, sorted(str(path.relative_to(folder.path)) for path in folder.path.rglob("*"))


@pytest.fixture
def changing_speeds(monkeypatch):
    """The machine is never as fast as before; it is slow to begin a trial, so that stacks are looked into and timed."""
    slower = itertools.count(1)
    monkeypatch.setattr("lrtool.engine.choice.known_loop_speed", lambda *_: LoopSpeed(1e-4, 0.0, 1.0 * next(slower)))


@pytest.mark.parametrize("kind", ["grid", pytest.param("tpe", marks=needs_optuna), "halving"])
def test_a_sweep_leaves_the_same_whenever_it_was_interrupted(sweep, tmp_path, changing_speeds, kind):  # noqa: F811
    whole = kept(sweep(SWEEPS[kind]).folder)
    assert whole[0]["engines"][0]["engine"] == "vector"
    for count in (1, 5):
        with pytest.raises(KeyboardInterrupt):
            sweep(SWEEPS[kind], board=StopAfter(count))
        folder = newest(tmp_path)
        sweep(resume=folder)
        assert kept(folder) == whole


class KillInSecond(Observer):
    """Ends the process, as it were, once the second search of a sweep has trained so many trials."""

    def __init__(self, output, trials):
        self.output, self.left = output, [trials]

    def __call__(self, *_):
        return self

    def ended(self, trial, trace):
        if len(list(self.output.glob("s/2*/tune/*/2*"))) == 2:
            self.left[0] -= 1
            if self.left[0] < 0:
                raise Killed


TUNED = (
    "base: base.yaml\nvariants: {a: {schedule: cosine}, b: {schedule: constant}, c: {train.duration: 24}}\n"
    "tune: {budget: 12}\n"
)


def test_a_search_of_a_variants_lr_that_was_killed_goes_on(sweep, tmp_path, silent, monkeypatch, undrawn):  # noqa: F811
    from lrtool.config.sweep.load import load_sweep

    # Which is faster, so near to each other, is nobody's to foretell.
    monkeypatch.setattr(tune, "Engines", lambda *_: Engines(EngineName.LOOP))
    whole = sweep(TUNED).folder
    given = load_sweep(tmp_path / "s.yaml")
    with pytest.raises(Killed):
        run_sweep(given, tmp_path / "cut", Options(), SweepBoard("s"), KillInSecond(tmp_path / "cut", 5))
    folder = RunFolder.open(tmp_path / "cut" / "s")
    assert len(list((folder.path / "tune").glob("*/2*"))) == 2
    # As if another had been killed as soon as it had a folder.
    (folder.path / "tune" / "c" / "20260101-000000-tune" / "checkpoints").mkdir(parents=True)
    resume_sweep(folder, Options(), SweepBoard("s"), silent, 1000)
    assert folder.summary()["tuned"] == whole.summary()["tuned"]
    same_results(read_trials(folder.path), read_trials(whole.path))
    assert {path.parent.name: path.name for path in (folder.path / "tune").glob("*/2*")}.keys() == {"a", "b", "c"}
    assert len(list((folder.path / "tune").glob("*/2*"))) == 3
    for path in (folder.path / "tune").glob("*/2*/summary.json"):
        assert json.loads(path.read_text())["status"] == "finished"


class Remembering:
    """A store of facts."""

    def __init__(self):
        self.facts = {}

    def fact(self, key):
        return self.facts.get(key)

    def remember(self, key, value):
        self.facts[key] = value


def test_a_search_begins_at_what_is_foretold_also_in_a_resumed_sweep(configured, monkeypatch, tmp_path):
    from lrtool.experiments.tune_result import TuneResult

    asked, setups = [], {kind: configured(schedule={"kind": kind}) for kind in ("constant", "cosine")}
    response = type("Response", (), {"lr": 0.1, "reason": None})

    def searched(setup, *_, expected=None, **__):
        asked.append(expected)
        result = object.__new__(TuneResult)
        object.__setattr__(result, "ranking", (type("Tuned", (), {"response": response}),))
        return None, result

    monkeypatch.setattr("lrtool.experiments.sweep.variant_lrs.run_tune", searched)
    planner = type("Planner", (), {"config": lambda _, combination, more: setups[combination.label].config})()
    combinations = [type("Combination", (), {"label": kind}) for kind in setups]
    settings, store = type("Tune", (), {"budget": 3}), Remembering()
    whole = TunedLRs(settings, store, tmp_path, None, frozenset())
    assert whole.search(planner, combinations) == {kind: {"optimizer.lr": 0.1} for kind in setups}
    del store.facts["tuned:cosine"]
    resumed = TunedLRs(settings, store, tmp_path, None, frozenset())
    assert resumed.search(planner, combinations) == {kind: {"optimizer.lr": 0.1} for kind in setups}
    ratio = bound_lr(setups["cosine"].curves(1.0, 50)["lr"]) / bound_lr(setups["constant"].curves(1.0, 50)["lr"])
    assert asked == [None, pytest.approx(0.1 * ratio, rel=0.05), asked[1]]
