import json
import os
import signal
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch

from lrtool.config.load import load_config
from lrtool.engine.evaluate import evaluate
from lrtool.engine.loop import checkpoint, training
from lrtool.engine.observer import Observer
from lrtool.errors import ExitCode, Interrupted, OutputError, UsageError
from lrtool.experiments import train
from lrtool.experiments.range_test.range_test import run_range_test
from lrtool.experiments.setup import prepare
from lrtool.experiments.train import resume_training, run_smoke, run_training
from lrtool.runs.folder import RunFolder
from lrtool.runs.metrics import read_metrics
from lrtool.runs.suggested_lr import lr_from


def bytes_without_seconds(folder):
    lines = (folder / "metrics.csv").read_text().splitlines()
    return [line.rpartition(",")[0] for line in lines]


class StopAt(Observer):
    """An observer that sends this process SIGINT once update `step` is recorded."""

    def __init__(self, step):
        self.step, self.sent = step, False

    def recorded(self, trial, trace, start):
        if trace.steps >= self.step and not self.sent:
            self.sent = True
            os.kill(os.getpid(), signal.SIGINT)


def test_a_run_leaves_curves_checkpoints_and_a_summary(configured, silent, tmp_path):
    run = run_training(configured(), tmp_path, silent)
    folder = run.session.folder.path
    assert {
        "curves.png",
        "curves.svg",
        "metrics.csv",
        "summary.json",
        "config.yaml",
        "environment.json",
        "log.txt",
    } <= {path.name for path in folder.iterdir()}
    assert {"best.safetensors", "step-00000040.json", "step-00000040.safetensors"} <= {
        path.name for path in (folder / "checkpoints").iterdir()
    }
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["steps"] == 40 and summary["status"] == "finished"
    assert summary["final"]["step"] == 40
    assert summary["best"]["val_loss"] <= summary["final"]["val_loss"]
    assert (tmp_path / "small" / "latest").resolve() == folder.resolve()
    header = (folder / "metrics.csv").read_text().splitlines()[0]
    assert header == "trial,step,epoch,lr,train_loss,val_loss,val_accuracy,momentum,seconds"


def test_evaluations_stand_in_the_row_of_the_update_they_follow(configured, silent, tmp_path):
    folder = run_training(configured(), tmp_path, silent).session.folder.path
    table = read_metrics(folder / "metrics.csv")
    assert table["step"][np.isfinite(table["val_loss"])].tolist() == [7, 15, 23, 31, 39]
    assert table["step"].tolist() == list(range(40))


def test_the_same_config_and_seed_give_byte_identical_metrics(configured, silent, tmp_path):
    first, second = (run_training(configured(), tmp_path, silent).session.folder.path for _ in range(2))
    assert bytes_without_seconds(first) == bytes_without_seconds(second)
    other = run_training(configured(seed=1), tmp_path, silent).session.folder.path
    assert bytes_without_seconds(first) != bytes_without_seconds(other)


@pytest.mark.parametrize("stop", [1, 13, 24])
def test_a_resumed_run_equals_one_that_never_stopped(configured, silent, tmp_path, stop):
    whole = run_training(configured(), tmp_path / "whole", silent).session.folder.path
    with pytest.raises(Interrupted) as stopped:
        run_training(configured(), tmp_path / "cut", lambda *_: StopAt(stop))
    assert stopped.value.exit_code is ExitCode.INTERRUPTED
    folder = RunFolder.open(tmp_path / "cut" / "small")
    assert folder.summary()["status"] == "interrupted"
    assert str(folder.path) in stopped.value.__notes__[0]
    setup = prepare(load_config(folder.config))
    resumed = resume_training(setup, folder, silent)
    assert bytes_without_seconds(folder.path) == bytes_without_seconds(whole)
    assert resumed.session.summary()["final"] == json.loads((whole / "summary.json").read_text())["final"]


@pytest.mark.parametrize("change", ["data.batch_size=16", "train.duration=4ep", "seed=3", "data.drop_last=false"])
def test_a_resume_that_is_refused_changes_nothing(configured, tmp_path, silent, change):
    folder = run_training(configured(), tmp_path, silent).session.folder
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file() and path.suffix != ".lock"}
    with pytest.raises(UsageError, match="the checkpoint was made"):
        resume_training(prepare(load_config(folder.config, [change])), folder, silent)
    after = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file() and path.suffix != ".lock"}
    assert after == before


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("train.duration=8ep", "the curve of 64 updates, not of 40"),
        ("train.duration=4ep", "the curve of 32 updates, not of 40"),
        ("optimizer.lr=0.1", "another curve than before"),
        ("schedule.final=10%", "another curve than before"),
    ],
)
def test_a_run_goes_on_on_another_curve_from_where_it_stopped(configured, silent, tmp_path, change, said):
    with pytest.raises(Interrupted):
        run_training(configured(), tmp_path, lambda *_: StopAt(13))
    folder = RunFolder.open(tmp_path / "small")
    before = read_metrics(folder.path / "metrics.csv")["lr"]
    run = resume_training(prepare(load_config(folder.config, [change])), folder, silent)
    setup = prepare(load_config(folder.config))
    lr = read_metrics(folder.path / "metrics.csv")["lr"]
    expected = setup.trial(0, setup.config.optimizer.lr).curves["lr"].table()
    np.testing.assert_array_equal(lr, [*before, *expected[len(before) :]])
    assert said in run.notes[0] and f"from update {len(before)} on" in run.notes[0]
    summary = folder.summary()
    assert summary["continued"] == [run.notes[0]] and summary["steps"] == setup.steps == len(lr)
    assert run.notes[0] in (folder.path / "log.txt").read_text()
    # What was said stays known where it goes on once more.
    again = resume_training(prepare(load_config(folder.config, ["train.duration=9ep"])), folder, silent)
    assert len(folder.summary()["continued"]) == 2 and again.notes[0] == folder.summary()["continued"][1]


def test_resuming_without_a_checkpoint_says_so(configured, tmp_path, silent):
    folder = run_training(configured(), tmp_path, silent).session.folder
    for path in folder.checkpoints.iterdir():
        path.unlink()
    with pytest.raises(UsageError, match="no checkpoint"):
        resume_training(configured(), folder, silent)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("failed", [False, True])
def test_a_run_killed_before_its_first_checkpoint_begins_again(configured, silent, tmp_path, failed):
    setup = configured(train__checkpoint_every="auto")
    whole = run_training(setup, tmp_path / "whole", silent).session.folder.path
    folder = run_training(setup, tmp_path / "cut", silent).session.folder
    (folder.path / "manifest.sha256").unlink()
    # As a kill leaves it: a config, some rows, the last one torn, and no summary; or that of code that failed.
    for path in folder.checkpoints.iterdir():
        path.unlink()
    metrics = folder.path / "metrics.csv"
    metrics.write_text(metrics.read_text()[:500])
    summary = folder.path / "summary.json"
    if failed:
        summary.write_text(summary.read_text().replace('"finished"', '"failed"'))
    else:
        summary.unlink()
    run = resume_training(prepare(load_config(folder.config)), folder, silent)
    assert bytes_without_seconds(folder.path) == bytes_without_seconds(whole)
    assert "began again" in run.notes[0]


@pytest.mark.usefixtures("undrawn")
def test_auto_changes_no_result_and_stays_in_the_config(configured, silent, tmp_path):
    runs = [
        run_training(configured(train__checkpoint_every=every), tmp_path / f"{every}", silent).session.folder
        for every in ("auto", "1ep", 3, 0)
    ]
    rows = [bytes_without_seconds(folder.path) for folder in runs]
    assert rows[0] == rows[1] == rows[2] == rows[3]
    assert "checkpoint_every: auto" in runs[0].config.read_text()
    assert all((folder.checkpoints / "step-00000040.json").exists() for folder in runs)
    assert (runs[0].checkpoints / "best.safetensors").read_bytes() == (
        runs[1].checkpoints / "best.safetensors"
    ).read_bytes()


@pytest.mark.parametrize(("share", "expected"), [(1e-9, [40]), (1e9, [8, 16, 24, 32, 40])])
def test_auto_saves_at_ends_of_epochs_where_there_is_time(
    configured, silent, tmp_path, monkeypatch, undrawn, share, expected
):
    steps, save = [], checkpoint.save
    monkeypatch.setattr(
        checkpoint, "save", lambda folder, state, keep: steps.append(state.step) or save(folder, state, keep)
    )
    monkeypatch.setattr(train, "_SAVING", share)
    run_training(configured(train__checkpoint_every="auto"), tmp_path, silent)
    assert steps == expected


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("stop", [1, 13])
def test_an_interrupted_run_saves_though_there_is_no_time(configured, silent, tmp_path, monkeypatch, stop):
    monkeypatch.setattr(train, "_SAVING", 1e-9)
    setup = configured(train__checkpoint_every="auto")
    whole = run_training(setup, tmp_path / "whole", silent).session.folder.path
    with pytest.raises(Interrupted):
        run_training(setup, tmp_path / "cut", lambda *_: StopAt(stop))
    folder = RunFolder.open(tmp_path / "cut" / "small")
    assert checkpoint.latest(folder.checkpoints) is not None
    resume_training(prepare(load_config(folder.config)), folder, silent)
    assert bytes_without_seconds(folder.path) == bytes_without_seconds(whole)


@pytest.mark.usefixtures("undrawn")
def test_the_share_of_validation_is_measured_and_said_where_it_is_much(configured, silent, tmp_path, monkeypatch):
    """By a clock that moves on by a millisecond whenever it is looked at, and by a second in a slow validation."""
    now, evaluate = [0.0], training.evaluate

    def passed(seconds):
        now[0] += seconds
        return now[0]

    monkeypatch.setattr(training, "time", SimpleNamespace(perf_counter=lambda: passed(0.001)))
    seldom = run_training(configured(train__eval_every=0), tmp_path / "seldom", silent)
    assert seldom.session.summary()["validation_share"] == pytest.approx(1 / 41, rel=1e-3) and seldom.notes == ()
    monkeypatch.setattr(training, "evaluate", lambda *given: passed(1) and evaluate(*given))
    often = run_training(configured(train__eval_every=8), tmp_path / "often", silent)
    assert often.session.summary()["validation_share"] == pytest.approx(5.005 / 5.045, rel=1e-3)
    assert "validation took 99% of the time" in often.notes[0]
    assert often.notes[0] in (often.session.folder.path / "log.txt").read_text()
    nothing = run_training(configured(data__val_fraction=0.0), tmp_path / "nothing", silent)
    assert nothing.session.summary()["validation_share"] is None and nothing.notes == ()


def test_a_smoke_run_goes_through_every_stage_in_a_few_updates(configured, silent, tmp_path):
    run = run_smoke(configured(), tmp_path, silent)
    assert run.session.summary()["steps"] == 6
    table = read_metrics(run.session.folder.path / "metrics.csv")
    assert table["step"][np.isfinite(table["val_loss"])].tolist() == [2, 5]
    # The schedule is the whole run's, not squeezed into six updates.
    whole = configured().curves(0.3, 40)["lr"].table()
    np.testing.assert_array_equal(table["lr"], whole[:6])


def test_a_run_of_one_update_can_be_smoke_run_too(configured, silent, tmp_path):
    setup = configured(train__duration=1, schedule="constant", train__eval_every=0, train__checkpoint_every=0)
    assert run_smoke(setup, tmp_path, silent).session.summary()["steps"] == 1


def test_divergence_is_a_result_that_is_kept(configured, silent, tmp_path):
    setup = configured(
        optimizer={"kind": "sgd", "lr": 1e6}, schedule="constant", loss="mse", data={"kind": "regression"}
    )
    run = run_training(setup, tmp_path, silent)
    assert run.session.status == "diverged"
    assert "update" in run.session.reason
    assert len(read_metrics(run.session.folder.path / "metrics.csv")["step"]) == run.session.summary()["steps"] > 0


def test_the_lr_of_a_range_test_is_taken_over(configured, silent, tmp_path):
    run, result = run_range_test(configured(range_test__steps=150, range_test__seeds=3), tmp_path, silent)
    assert lr_from(run.folder.path) == result.suggestion.value
    assert lr_from(tmp_path / "small" / "latest") == result.suggestion.value
    # A training after it does not hide it, unless it is named itself.
    trained = run_training(configured(), tmp_path, silent).session.folder.path
    for path in (tmp_path / "small" / "latest", tmp_path / "small"):
        assert lr_from(path) == result.suggestion.value
    with pytest.raises(UsageError, match="a train run, which suggests no LR"):
        lr_from(trained)


def test_a_run_that_suggests_nothing_gives_its_reason(configured, silent, tmp_path):
    run, _ = run_range_test(configured(range_test__start=1e-9, range_test__end=1e-8), tmp_path, silent)
    with pytest.raises(UsageError, match=r"suggests no LR: .*raise range_test\.end"):
        lr_from(run.folder.path)
    trained = run_training(configured(), tmp_path, silent)
    with pytest.raises(UsageError, match="this is a train run"):
        lr_from(trained.session.folder.path)


def test_a_plateau_eases_the_lr_and_survives_a_resume(configured, silent, tmp_path):
    changes = {"schedule": "constant", "plateau": {"patience": 0, "factor": 0.5, "threshold": 1.0}}
    whole = run_training(configured(**changes), tmp_path / "whole", silent).session.folder.path
    lr = read_metrics(whole / "metrics.csv")["lr"]
    assert lr[0] == 0.3 and lr[-1] < 0.3
    with pytest.raises(Interrupted):
        run_training(configured(**changes), tmp_path / "cut", lambda *_: StopAt(20))
    folder = RunFolder.open(tmp_path / "cut" / "small")
    resume_training(prepare(load_config(folder.config)), folder, silent)
    assert bytes_without_seconds(folder.path) == bytes_without_seconds(whole)


def test_a_folder_that_cannot_be_made_is_an_output_error(configured, silent, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OutputError, match="--output"):
        run_training(configured(), blocked, silent)


def test_accumulated_batches_and_recorded_norms_have_their_columns(configured, silent, tmp_path):
    setup = configured(train__accumulate=2, train__grad_norm=True, train__clip_norm=0.5)
    table = read_metrics(run_training(setup, tmp_path, silent).session.folder.path / "metrics.csv")
    assert np.isfinite(table["grad_norm"]).all()
    assert len(table["step"]) == 20


def test_a_config_without_validation_data_has_no_validation_columns(configured, silent, tmp_path):
    setup = configured(data__val_fraction=0.0)
    run = run_training(replace(setup), tmp_path, silent)
    assert "val_loss" not in read_metrics(run.session.folder.path / "metrics.csv")
    assert "train_loss" in run.session.summary()["best"]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", ["val_accuracy", "train_loss"])
def test_the_best_of_the_summary_and_the_weights_are_judged_alike(configured, silent, tmp_path, name):
    setup = configured(train__best=name)
    folder = run_training(setup, tmp_path, silent).session.folder
    summary, table = folder.summary(), read_metrics(folder.path / "metrics.csv")
    assert summary["higher_is_better"] == {"val_accuracy": True}
    measured = np.flatnonzero(np.isfinite(table["val_loss"]))
    values = table["train_loss"].reshape(5, 8).mean(1) if name == "train_loss" else -table["val_accuracy"][measured]
    assert summary["best"]["step"] == measured[values.argmin()] + 1
    assert summary["final"]["step"] == 40
    saved = safetensors.torch.load_file(folder.path / "checkpoints" / "best.safetensors")
    model = setup.task.new_model()
    model.load_state_dict(saved)
    task = setup.task.to(setup.recipe.device)
    found = evaluate(task, model.to(setup.recipe.device), task.val, setup.recipe.device, nullcontext)
    assert found["val_accuracy"] == pytest.approx(summary["best"]["val_accuracy"])


@pytest.mark.usefixtures("undrawn")
def test_observers_are_told_when_it_begins_and_closed_however_it_ends(configured, tmp_path):
    heard = []

    class Told(StopAt):
        def begin(self, trials, first=0):
            heard.append([trial.steps for trial in trials])

        def close(self):
            heard.append("closed")

    run_training(configured(), tmp_path, lambda *_: Told(10**6))
    with pytest.raises(Interrupted):
        run_training(configured(), tmp_path, lambda *_: Told(9))
    assert heard == [[40], "closed", [40], "closed"]
