"""What the commands tell every logger: the columns of metrics.csv, the summary, the plots; read back from it."""

import json
import os
import signal

import numpy as np
import pytest

from lrtool.config.document import parse_document
from lrtool.config.load import validate
from lrtool.config.sweep.load import load_sweep
from lrtool.engine.observer import Observer
from lrtool.experiments.range_test.range_test import run_range_test
from lrtool.experiments.setup import prepare
from lrtool.experiments.sweep.options import Options
from lrtool.experiments.sweep.sweep import resume_sweep, run_sweep
from lrtool.experiments.train import resume_training, run_training
from lrtool.experiments.tune import run_tune
from lrtool.report.terminal.board import SweepBoard
from lrtool.runs.folder import RunFolder
from lrtool.runs.metrics import read_metrics
from lrtool.runs.sweep.store import read_trials
from tests.loggers.readers import READERS

pytestmark = pytest.mark.slow

BASE = """
name: a/b <i>ü</i>
device: cpu
model: {kind: mlp, hidden: [8]}
data: {kind: spirals, samples: 120, batch_size: 24}
optimizer: {kind: sgd, lr: 0.3, momentum: 0.9}
schedule: {kind: one_cycle}
train: {duration: 12, eval_every: 4, checkpoint_every: 4, grad_norm: true}
range_test: {start: 1e-4, end: 100, steps: 20, seeds: 2, probe_steps: 0}
"""
FINISHED_TRIALS = 4


@pytest.fixture
def setup(spec, tmp_path):
    def setup(**changes):
        data = {**parse_document(BASE, "test.yaml").data, "logging": [spec], **changes}
        return prepare(validate(parse_document(json.dumps(data), "test.yaml")).beside(tmp_path))

    return setup


@pytest.fixture
def read(spec):
    return lambda run: READERS[spec["kind"]](run.folder.path)


def silent(*_):
    return Observer()


def columns(path):
    """What metrics.csv has, as loggers name it: values by step, for each column and trial."""
    table, found = read_metrics(path / "metrics.csv"), {}
    for name in table.keys() - {"trial", "step", "epoch", "seconds"}:
        for trial in np.unique(table["trial"]).astype(int):
            chosen = (table["trial"] == trial) & np.isfinite(table[name])
            steps = table["step"][chosen].astype(int).tolist()
            if steps:
                found[f"{name}/{trial}"] = list(zip(steps, table[name][chosen].tolist(), strict=True))
    return found


def same(series, expected):
    # metrics.csv of several trials has no column for what moves in none of them.
    assert (
        series.keys() >= expected.keys() and not {name for name in series if name.startswith("val")} - expected.keys()
    )
    for name, values in expected.items():
        steps, numbers = zip(*series[name], strict=True)
        assert steps == tuple(step for step, _ in values)
        np.testing.assert_allclose(numbers, [value for _, value in values], rtol=1e-6)


def test_a_training_is_all_there(setup, read, tmp_path, spec):
    run = run_training(setup(), tmp_path, silent).session
    found, path = read(run), run.folder.path
    same(found.series, {name.removesuffix("/0"): values for name, values in columns(path).items()})
    assert {"lr", "momentum", "grad_norm", "train_loss", "val_loss", "val_accuracy"} <= found.series.keys()
    assert parse_document(found.config, "read").data == parse_document((path / "config.yaml").read_text(), "own").data
    summary = json.loads((path / "summary.json").read_text())
    assert found.summary["summary/final.val_loss"] == pytest.approx(summary["final"]["val_loss"])
    assert found.summary["summary/status"] == "finished" and found.summary["summary/seconds"] == pytest.approx(
        summary["seconds"]
    )
    assert found.plots == {"plots/curves": (path / "curves.png").read_bytes()}
    if spec["kind"] != "tensorboard":
        assert found.title.startswith("a/b <i>ü</i> ") and found.finished


@pytest.mark.usefixtures("undrawn")
def test_a_resumed_training_is_one_run(setup, read, tmp_path, monkeypatch):

    class StopAt(Observer):
        def recorded(self, trial, trace, start):
            if trace.steps >= 6:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_training(setup(), tmp_path, lambda *_: StopAt())
    (path,) = tmp_path.glob("*/2*")
    before = READERS[setup().config.logging[0].kind](path)
    run = resume_training(setup(), RunFolder.open(path), silent).session
    found = read(run)
    assert before.ids == found.ids and len(found.ids) == 1
    same(found.series, {name.removesuffix("/0"): values for name, values in columns(path).items()})
    assert found.summary["summary/status"] == "finished"


def test_a_range_test_is_one_run_with_the_suggestion(setup, read, tmp_path):
    run, result = run_range_test(setup(), tmp_path, silent)
    found = read(run)
    same(found.series, columns(run.folder.path))
    assert {"lr/0", "train_loss/1"} <= found.series.keys() and found.plots.keys() == {"plots/range_test"}
    if result.suggestion is not None:
        assert found.summary["summary/suggested_lr"] == pytest.approx(result.suggestion.value)


def test_a_tune_is_one_run_with_the_suggestion(setup, read, tmp_path, spec):
    if spec["kind"] != "tensorboard":
        pytest.skip("the same as of a range test; it takes seconds")
    run, _ = run_tune(setup(), tmp_path, silent, budget=12)
    found = read(run)
    same(found.series, columns(run.folder.path))
    written = json.loads((run.folder.path / "summary.json").read_text())["suggested_lr"]
    assert found.summary.get("summary/suggested_lr") == (written and pytest.approx(written))


class StopAfter(SweepBoard):
    """A board that interrupts the sweep once so many trials have ended."""

    def __init__(self, count):
        super().__init__("small")
        self.left = count

    def ended(self, trial):
        super().ended(trial)
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


@pytest.fixture
def sweep(tmp_path, spec):
    def sweep(text="", board=None, **options):
        (tmp_path / "base.yaml").write_text(BASE)
        lines = ["base: base.yaml", "grid: {optimizer.lr: [0.1, 1e6], seed: 2}", f"logging: [{json.dumps(spec)}]", text]
        (tmp_path / "s.yaml").write_text("\n".join(lines))
        return run_sweep(
            load_sweep(tmp_path / "s.yaml"), tmp_path / "out", Options(**options), board or SweepBoard("small"), silent
        )

    return sweep


def check_trials(found, path):
    stored = read_trials(path)
    assert len(found.trials) == len(stored)
    for one, trial in zip(found.trials, stored, strict=True):
        assert one.title == trial.variant and one.finished == (trial.status == "finished")
        assert float(one.settings["optimizer.lr"]) == pytest.approx(trial.settings["optimizer.lr"])
        assert float(one.settings["seed"]) == trial.seed
        for name, value in trial.values.items():
            assert one.summary[f"summary/final.{name}"] == pytest.approx(value)
        if trial.curve:
            steps = [int(step) - 1 for step in trial.curve["step"]]
            assert [step for step, _ in one.series["lr"]] == steps


def test_trials_of_a_sweep_are_runs(sweep, read):
    run = sweep()
    found = read(run)
    check_trials(found, run.folder.path)
    assert found.summary["summary/trials.planned"] == FINISHED_TRIALS and found.series == {}


@pytest.mark.parametrize("text", ["", "prune: {kind: halving}"])
def test_a_resumed_sweep_tells_of_each_trial_once(sweep, read, text, tmp_path, spec):
    if text and spec["kind"] != "tensorboard":
        pytest.skip("what is told is the same for all")
    with pytest.raises(KeyboardInterrupt):
        sweep(text, StopAfter(2))
    (path,) = (tmp_path / "out").glob("*/2*")
    run = resume_sweep(RunFolder.open(path), Options(), SweepBoard("small"), silent, 1000)
    check_trials(read(run), path)


def test_trials_of_other_processes_are_told_by_this_one(sweep, read, spec):
    if spec["kind"] != "tensorboard":
        pytest.skip("what is told is the same for all; processes take seconds")
    run = sweep(executor="local", workers=2)
    check_trials(read(run), run.folder.path)


def test_the_variants_lr_searches_are_not_told_of(spec, tmp_path, read):
    if spec["kind"] != "tensorboard":
        pytest.skip("what is told is the same for all; searches take seconds")
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "s.yaml").write_text(
        "base: base.yaml\ntune: {budget: 12}\nvariants: {a: {schedule: constant}}\nlogging: [tensorboard]\n"
    )
    board, sweep = SweepBoard("small"), load_sweep(tmp_path / "s.yaml")
    run = run_sweep(sweep, tmp_path / "out", Options(), board, silent)
    assert not list(run.folder.path.glob("tune/**/logging")) and len(read(run).trials) == 1


def test_two_loggers_hear_the_same(spec, setup, tmp_path, mlflow_folder):
    if spec["kind"] == "tensorboard":
        pytest.skip("it is the other one")
    pytest.importorskip("tensorboard")
    run = run_training(setup(logging=[spec, "tensorboard"]), tmp_path, silent).session
    one, other = (READERS[kind](run.folder.path) for kind in (spec["kind"], "tensorboard"))
    same(one.series, other.series)
