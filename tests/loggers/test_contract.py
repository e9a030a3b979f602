"""What every logger must keep, read back by its own library."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from lrtool.loggers import LOGGERS
from lrtool.loggers.background import Background
from lrtool.loggers.records import About, EndedTrial, Ending, Rows
from lrtool.status import Status
from tests.loggers.readers import READERS

AWKWARD = 'a/b\\c "<script>alert(1)</script>" ü 学习 %s {x} ..'


class Contract:
    """A logger on its thread, told things, and what it wrote."""

    def __init__(self, spec, folder, name="run", command="train"):
        self.kind, self.folder = spec["kind"], folder
        self.spec, self.name, self.command = spec, name, command
        (folder / "logging").mkdir(parents=True, exist_ok=True)

    def told(self, *messages, status=Status.FINISHED, summary=None, plots=()):
        config = {"name": self.name, "optimizer": {"lr": 0.1, "groups": [{"match": "*"}]}, "loss": None}
        text = "name: x\noptimizer:\n  lr: 0.1\n"
        about = About(self.folder, self.name, self.command, config, text, self.command == "sweep")
        logger = Background(LOGGERS[self.kind].model_validate(self.spec), about)
        for message in messages:
            logger.tell(message)
        logger.close(Ending(status, summary or {}, plots))
        return logger

    def read(self):
        return READERS[self.kind](self.folder)


@pytest.fixture
def contract(spec, tmp_path):
    return lambda **changes: Contract(spec, tmp_path / "out" / "some name" / "20260101-run", **changes)


def said(caplog):
    return [record.message for record in caplog.records if record.name.startswith("lrtool")]


def rows(first, last, **columns):
    steps = np.arange(first, last)
    return Rows(steps, {name: np.asarray(values, float) for name, values in columns.items()}, 1e9, frozenset({"loss"}))


def test_measurements_are_read_back(contract, caplog):
    told = contract()
    told.told(rows(0, 3, lr=[0.1, 0.2, 0.3], loss=[3, 2, 1]), rows(3, 4, lr=[0.4], loss=[0.5]))
    assert told.read().series == {
        "lr": [(0, pytest.approx(0.1)), (1, pytest.approx(0.2)), (2, pytest.approx(0.3)), (3, pytest.approx(0.4))],
        "loss": [(0, 3), (1, 2), (2, 1), (3, 0.5)],
    }
    assert not said(caplog)


def test_what_is_not_finite_is_kept_and_what_is_not_measured_left_out(contract):
    told = contract()
    told.told(rows(0, 3, loss=[math.nan, math.inf, 1], other=[math.nan, -math.inf, 2]))
    series = told.read().series
    values = dict(series["loss"])
    assert math.isnan(values[0]) and values[1] > 1e300 and values[2] == 1
    assert [step for step, _ in series["other"]] == [1, 2] and series["other"][0][1] < -1e300


def test_a_resumed_run_goes_on_in_the_same(contract):
    told = contract()
    told.told(rows(0, 2, loss=[2, 1]), status=Status.INTERRUPTED)
    again = told.told(rows(2, 3, loss=[0]))
    assert again.logged == 2
    found = told.read()
    assert found.series["loss"] == [(0, 2), (1, 1), (2, 0)] and len(found.ids) == 1
    assert found.finished in (True, None)


def test_config_summary_and_plots_are_read_back(contract, tmp_path):
    import matplotlib

    matplotlib.use("agg")
    from matplotlib.figure import Figure

    png = tmp_path / "curves.png"
    Figure(figsize=(1, 1)).savefig(png)
    told = contract()
    told.told(summary={"summary/suggested_lr": 0.25, "summary/reason": AWKWARD, "summary/on": True}, plots=(png,))
    found = told.read()
    assert "lr: 0.1" in found.config
    assert found.summary["summary/suggested_lr"] == 0.25 and found.summary["summary/reason"] == AWKWARD
    assert found.plots == {"plots/curves": png.read_bytes()}


def test_trials_of_a_sweep_are_runs_that_compare(contract):
    told = contract(command="sweep")
    curve = {"step": np.array([3.0, 7.0]), "lr": np.array([0.1, 0.05]), "val_loss": np.array([math.nan, 0.5])}
    values = {"summary/final.val_loss": 0.5}
    told.told(
        EndedTrial(0, "cosine", {"lr": 0.1, "nesterov": True, "seed": 0}, Status.FINISHED, "", values, curve),
        EndedTrial(1, AWKWARD, {"lr": 1e6, "warmup": "5%", "groups": [1]}, Status.DIVERGED, "it exploded", {}),
    )
    found = told.read()
    first, second = found.trials
    assert first.title == "cosine" and first.finished
    assert first.series == {"lr": [(3, pytest.approx(0.1)), (7, pytest.approx(0.05))], "val_loss": [(7, 0.5)]}
    assert first.summary["summary/final.val_loss"] == 0.5 and float(first.settings["lr"]) == pytest.approx(0.1)
    assert second.title == AWKWARD and not second.finished and float(second.settings["lr"]) == 1e6
    assert second.settings["warmup"] == "5%"
    assert told.told().trials == {0, 1}  # so a resumed sweep does not tell again


def test_any_name_is_a_name(contract, caplog):
    told = contract(name=AWKWARD)
    told.told(rows(0, 1, loss=[1]))
    assert told.read().series == {"loss": [(0, 1)]} and not said(caplog)


def test_settings_of_any_name_are_kept(contract, caplog):
    told = contract(command="sweep")
    settings = {"data.args.a?b": 1, "data.args.a_b": 2, "x" * 300: 3, "<b>": [1, {"a": None}], "ü": 2**62}
    told.told(EndedTrial(0, "", settings, Status.FINISHED, "", {}))
    (trial,) = told.read().trials
    assert len(trial.settings) >= 5 and not said(caplog)


def test_long_texts_are_cut_and_nothing_is_lost(contract, caplog):
    told = contract(name="n" * 2000)
    told.told(rows(0, 1, loss=[1]), summary={"summary/reason": "r" * 20_000})
    assert told.read().series == {"loss": [(0, 1)]} and not said(caplog)


def test_many_points_are_all_there(contract):
    told = contract()
    told.told(rows(0, 1500, loss=np.arange(1500)))
    assert told.read().series["loss"] == [(step, step) for step in range(1500)]


def test_random_numbers_of_the_training_are_left_alone(contract):
    random.seed(3)
    before = random.getstate(), str(np.random.get_state())  # noqa: NPY002
    contract().told(rows(0, 1, loss=[1]), EndedTrial(0, "a", {}, Status.FINISHED, "", {}))
    assert (random.getstate(), str(np.random.get_state())) == before  # noqa: NPY002


def test_nothing_is_printed(contract, capfd):
    contract().told(rows(0, 1, loss=[1]), EndedTrial(0, "a", {}, Status.FINISHED, "", {}))
    assert capfd.readouterr().out == ""
