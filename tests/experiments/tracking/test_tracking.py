"""What loggers are told by the commands, and that none of them can stop one."""

import json
import logging
import threading

import numpy as np
import pytest
from pydantic import ConfigDict

from lrtool.engine.trials import Evaluation, Trace, Trial
from lrtool.errors import MissingExtraError
from lrtool.experiments import train
from lrtool.experiments.range_test.range_test import run_range_test
from lrtool.experiments.tracking.observer import LoggerObserver
from lrtool.experiments.tracking.tracker import Tracker
from lrtool.experiments.tracking.trials import record_of
from lrtool.experiments.train import run_training
from lrtool.experiments.tune import run_tune
from lrtool.loggers import VARIABLE, base
from lrtool.loggers.base import Logger, LoggerRun
from lrtool.loggers.names import Names
from lrtool.loggers.tensorboard import TensorBoard
from lrtool.report.pictures import drawn_later
from lrtool.runs.metrics import read_metrics
from lrtool.runs.sweep.stored_trial import StoredTrial
from lrtool.schedules import Curve
from lrtool.status import Status


class Broken(Logger, LoggerRun):
    """A logger that raises, or hangs, in one of its methods."""

    at: str
    hang: bool = False
    kept: list

    model_config = ConfigDict(arbitrary_types_allowed=True, frozen=True)

    @property
    def is_remote(self):
        return True

    def load(self):
        pass

    def open(self, about, state):
        self._do("open", about)
        return self

    def write(self, points):
        self._do("write", points)

    def trial(self, trial):
        self._do("trial", trial)

    def finish(self, ending):
        self._do("finish", ending)

    def _do(self, what, told):
        self.kept.append((what, told))
        if what == self.at:
            if self.hang:
                threading.Event().wait(5)
            raise OSError("gone")


class Heard:
    """Stands for a logger's thread: keeps what it is told."""

    def __init__(self, logged=0, evaluated=0, **fields):
        self.logger = TensorBoard(**fields)
        self.logged, self.evaluated, self.rows = logged, evaluated, []

    def tell(self, message):
        self.rows.append(message)

    def steps(self, name="train_loss"):
        return [step for each in self.rows if name in each.columns for step in each.steps.tolist()]


def traced(steps, of=None):
    trial = Trial(0, of or steps, {"lr": Curve(lambda t: t, of or steps, 1.0)})
    numbers = np.arange(float(steps))
    return Trace(trial, Status.FINISHED, numbers, numbers / 10, numbers, recorded={"momentum": -numbers})


def delivered(observer, trace, chunk):
    observer.begin([trace.trial])
    for start in range(0, trace.steps, chunk):
        part = slice(None, min(start + chunk, trace.steps))
        momentum = {"momentum": trace.recorded["momentum"][part]}
        some = Trace(
            trace.trial, trace.status, trace.train_loss[part], trace.lr[part], trace.seconds[part], recorded=momentum
        )
        observer.recorded(0, some, start)
    observer.ended(0, trace)


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
@pytest.mark.parametrize("steps", [1, 10, 50, 101])
@pytest.mark.parametrize("every", [1, 3, 10, 500])
def test_every_so_many_updates_and_the_last(steps, every, chunk):
    heard = Heard(every=every)
    delivered(LoggerObserver(heard, Names(), single=True), traced(steps), chunk)
    assert heard.steps() == sorted({*range(0, steps, every), steps - 1})


@pytest.mark.parametrize("stopped", [1, 12, 21])
def test_the_last_update_of_a_trial_that_stopped_is_told(stopped):
    heard = Heard(every=10)
    delivered(LoggerObserver(heard, Names(), single=True), traced(stopped, of=100), 5)
    assert heard.steps() == sorted({*range(0, stopped, 10), stopped - 1})


def test_what_a_resumed_run_had_logged_is_not_told_again():
    heard = Heard(logged=30, evaluated=30, every=10)
    observer = LoggerObserver(heard, Names(), single=True)
    delivered(observer, traced(50), 7)
    for step in (20, 30, 40):
        observer.evaluated(0, Evaluation(step, {"val_loss": 1.0}))
    assert heard.steps() == [30, 40, 49] and heard.steps("val_loss") == [39]


def test_trials_are_told_apart_by_number():
    heard = Heard()
    observer = LoggerObserver(heard, Names())
    delivered(observer, traced(3), 3)
    observer.evaluated(7, Evaluation(3, {"val_<f1>/macro": 0.5}))
    assert heard.rows[0].columns.keys() == {"lr/0", "train_loss/0", "momentum/0"}
    assert heard.rows[0].columns["lr/0"].tolist() == [0, 0.1, 0.2] and heard.rows[0].lasting == {"train_loss/0"}
    assert heard.rows[1].columns.keys() == {"val__f1_macro/7"} and heard.rows[1].steps.tolist() == [2]


def test_a_stored_trial_keeps_the_names():
    stored = StoredTrial(
        3,
        "cosine",
        {"optimizer.lr": 0.1},
        5,
        Status.FINISHED,
        8,
        1.0,
        {"val_loss": 0.5},
        {"step": [4, 8], "lr": [1, 0]},
    )
    record = record_of(stored, Names())
    assert record.curve["step"].tolist() == [3, 7] and record.settings == {"optimizer.lr": 0.1, "seed": 5}
    assert record.values == {"summary/final.val_loss": 0.5, "summary/steps": 8, "summary/seconds": 1.0}


@pytest.fixture
def broken(monkeypatch):
    """Makes the logger that trainings have; it keeps what it is told."""

    def broken(at="", **fields):
        logger = Broken(kind="broken", at=at, kept=[], **fields)
        monkeypatch.setattr(train, "wanted", lambda _: (logger,))
        return logger

    return broken


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("hang", [False, True])
@pytest.mark.parametrize("at", ["open", "write", "finish"])
def test_no_logger_changes_a_training(configured, silent, tmp_path, caplog, broken, at, hang):
    plain = run_training(configured(), tmp_path / "plain", silent)
    broken(at, hang=hang, timeout=0.3)
    logged = run_training(configured(), tmp_path / "logged", silent)
    one, other = (read_metrics(run.session.folder.path / "metrics.csv") for run in (plain, logged))
    np.testing.assert_equal({**one, "seconds": 0}, {**other, "seconds": 0})
    assert logged.session.status is Status.FINISHED
    (said,) = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert "gone" in said or "within 0.3 seconds" in said
    assert said in (logged.session.folder.path / "log.txt").read_text()


@pytest.mark.usefixtures("undrawn")
def test_an_ending_says_what_the_summary_says(configured, silent, tmp_path, broken):
    logger = broken()
    run = run_training(configured(), tmp_path, silent)
    summary = json.loads((run.session.folder.path / "summary.json").read_text())
    what, ending = logger.kept[-1]
    assert what == "finish" and ending.summary["summary/seconds"] == summary["seconds"]
    assert ending.summary["summary/final.val_loss"] == summary["final"]["val_loss"]


def test_names_of_a_summary_are_those_of_its_columns(tmp_path):
    logger = Broken(kind="broken", at="", kept=[])
    tracker = Tracker([logger], tmp_path, "a", "train", "name: a")
    tracker.close(Status.FINISHED, {"final": {"val_<f1>/macro": 1.0, "step": 3}, "best": None}, tmp_path)
    assert logger.kept[-1][1].summary == {"summary/final.val__f1_macro": 1.0, "summary/final.step": 3}


def test_a_logger_is_given_plots_that_would_have_waited(configured, silent, tmp_path, broken):
    logger = broken()
    with drawn_later():
        run = run_training(configured(), tmp_path, silent)
    assert logger.kept[-1][1].plots == (run.session.folder.path / "curves.png",)


@pytest.mark.usefixtures("undrawn")
def test_secrets_of_a_config_are_not_told(configured, silent, tmp_path, broken):
    (tmp_path / "m.py").write_text("import torch\ndef made(api_key, width):\n    return torch.nn.Linear(2, width)\n")
    logger = broken()
    setup = configured(model={"use": f"{tmp_path}/m.py:made", "args": {"api_key": "HUSH", "width": 3}})
    run_training(setup, tmp_path, silent)
    about = logger.kept[0][1]
    assert "HUSH" not in about.text and "HUSH" not in str(about.config) and "width: 3" in about.text


@pytest.mark.parametrize("run", [run_training, run_range_test, run_tune])
def test_a_missing_package_is_said_before_anything_is_made(run, configured, silent, tmp_path, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    setup = configured()
    monkeypatch.setattr(base.importlib, "import_module", missing)
    monkeypatch.setenv(VARIABLE, "tensorboard")
    with pytest.raises(MissingExtraError, match=r"pip install 'lrtool\[tensorboard\]'"):
        run(setup, tmp_path / "out", silent)
    assert not (tmp_path / "out").exists()
