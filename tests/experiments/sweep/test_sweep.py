import csv
import json
import os
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from lrtool.comparison.standings import compare_runs
from lrtool.config.sweep.load import load_sweep
from lrtool.engine.trials import Trace
from lrtool.errors import Interrupted, OutputError, UsageError
from lrtool.experiments.final import final_values
from lrtool.experiments.sweep.grouping import group_trials
from lrtool.experiments.sweep.options import Options
from lrtool.experiments.sweep.outcome import curve
from lrtool.experiments.sweep.sweep import resume_sweep, run_sweep
from lrtool.report.terminal.board import SweepBoard
from lrtool.runs.sweep.store import FILE, HIGHER_IS_BETTER, read_fact, read_trials
from lrtool.status import Status

BASE = """\
name: small
device: cpu
model: {kind: mlp, hidden: [8], dropout: 0.1}
data: {kind: spirals, samples: 120, batch_size: 24}
optimizer: {kind: sgd, lr: 0.3, momentum: 0.9}
train: {duration: 12, eval_every: 4}
"""
GRID = "base: base.yaml\ngrid: {schedule: [cosine, constant], optimizer.lr: [0.1, 0.5, 1e6], seed: 2}\n"


@pytest.fixture
def sweep(tmp_path, silent, monkeypatch):
    """Runs a sweep whose text is given, beside the base; gives the session. `board` and `resume` as given."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "base.yaml").write_text(BASE)

    def sweep(text=GRID, board=None, resume=None, base=(), **options):
        board = board if board is not None else SweepBoard("small")
        if resume is not None:
            return resume_sweep(resume, Options(**options), board, silent, 1000)
        path = tmp_path / "s.yaml"
        path.write_text(text)
        return run_sweep(load_sweep(path, base), tmp_path / "out", Options(**options), board, silent)

    return sweep


class StopAfter(SweepBoard):
    """A board that interrupts the sweep once so many trials have ended."""

    def __init__(self, count):
        super().__init__("small")
        self.left = count

    def ended(self, trial):
        self.left -= 1
        if not self.left:
            raise Interrupted(15)


def same_results(one, other):
    """Equal trial by trial, all but the time they took."""
    assert [each.number for each in one] == [each.number for each in other]
    for a, b in zip(one, other, strict=True):
        np.testing.assert_equal({**vars(a), "seconds": 0}, {**vars(b), "seconds": 0})


def test_every_trial_is_trained_and_stored(sweep):
    run = sweep()
    trials = read_trials(run.folder.path)
    assert [trial.number for trial in trials] == list(range(12))
    assert {trial.status for trial in trials if trial.settings["optimizer.lr"] < 1} == {"finished"}
    assert {trial.status for trial in trials if trial.settings["optimizer.lr"] > 1} == {"diverged"}
    first = trials[0]
    assert first.steps == 12 and first.seed == 0 and first.values.keys() == {"train_loss", "val_loss", "val_accuracy"}
    assert first.curve["step"] == list(range(1, 13)) and np.isfinite(first.curve["val_loss"]).sum() == 3
    assert first.curve["val_loss"][-1] == first.values["val_loss"]


def test_the_run_folder_keeps_the_contract(sweep):
    run = sweep()
    summary = run.folder.summary()
    assert summary["command"] == "sweep" and summary["status"] == "finished"
    assert summary["trials"] == {"planned": 12, "finished": 8, "diverged": 4, "failed": 0, "pruned": 0}
    assert summary["steps"] == sum(trial.steps for trial in read_trials(run.folder.path))
    assert len(summary["leaders"]) == 4 and summary["engines"][0]["engine"] == "vector"
    means = [each["mean"] for each in summary["leaders"]]
    assert means == sorted(means)
    rows = list(csv.DictReader((run.folder.path / "trials.csv").open()))
    assert len(rows) == 12 and rows[0]["optimizer.lr"] == "0.1" and rows[0]["status"] == "finished"
    assert {"config.yaml", "environment.json", "log.txt", FILE} <= {p.name for p in run.folder.path.iterdir()}


def test_seeds_pair_trials_and_a_trial_is_what_the_base_alone_would_be(sweep, tmp_path, silent):
    from lrtool.config.load import load_config
    from lrtool.experiments.setup import prepare
    from lrtool.experiments.train import run_training

    trials = read_trials(sweep(base=("model.dropout=0",)).folder.path)
    settings = ["model.dropout=0", "optimizer.lr=0.5", "schedule=cosine", "seed=1"]
    alone = run_training(prepare(load_config(tmp_path / "base.yaml", settings)), tmp_path / "alone", silent).trace
    assert trials[3].settings == {"schedule": "cosine", "optimizer.lr": 0.5} and trials[3].seed == 1
    np.testing.assert_allclose(trials[3].curve["train_loss"], alone.train_loss, rtol=1e-4)


def test_trials_that_differ_in_more_than_a_stack_allows_are_grouped(sweep, tmp_path):
    (tmp_path / "s.yaml").write_text(
        "base: base.yaml\ngrid: {model.hidden: [[4], [8]], optimizer.momentum: [0.5, 0.9], schedule: [cosine, wsd]}\n"
    )
    groups = group_trials(load_sweep(tmp_path / "s.yaml").trials())
    assert [len(group.trials) for group in groups] == [4, 4]
    run = sweep((tmp_path / "s.yaml").read_text())
    assert [each["trials"] for each in run.folder.summary()["engines"]] == [4, 4]


@pytest.mark.parametrize("count", [1, 5, 11])
def test_an_interrupted_sweep_resumes_to_the_same_results(sweep, tmp_path, count):
    undisturbed = read_trials(sweep().folder.path)
    with pytest.raises(KeyboardInterrupt) as stop:
        sweep(board=StopAfter(count))
    assert "lrtool sweep --resume" in stop.value.__notes__[0]
    folder = newest(tmp_path)
    assert folder.summary()["status"] == "interrupted" and count <= len(read_trials(folder.path)) < 12
    again = sweep(resume=folder)
    same_results(read_trials(folder.path), undisturbed)
    assert again.folder.summary()["trials"]["planned"] == 12


def newest(tmp_path):
    from lrtool.runs.folder import RunFolder

    return RunFolder.open(tmp_path / "out/s")  # named after the sweep's file


def test_a_single_missing_trial_equals_that_of_the_whole_sweep(sweep):
    run = sweep()
    undisturbed = read_trials(run.folder.path)
    with closing(sqlite3.connect(run.folder.path / FILE)) as database, database:
        database.execute("DELETE FROM trials WHERE number = 3")
    sweep(resume=run.folder)
    same_results(read_trials(run.folder.path), undisturbed)


def test_a_finished_sweep_resumes_to_nothing(sweep):
    run = sweep()
    before = read_trials(run.folder.path)
    board = StopAfter(1)
    sweep(resume=run.folder, board=board)
    assert board.left == 1
    same_results(read_trials(run.folder.path), before)


MODEL = """\
import os
from torch import nn
def net(width):
    if width == 13 and not os.path.exists({flag!r}):
        raise RuntimeError("thirteen is unlucky")
    return nn.Sequential(nn.Linear(2, width), nn.Linear(width, 2))
"""
OWN = "base: {extends: base.yaml, model: {use: 'm.py:net', args: {width: 4}}}\ngrid: {model.args.width: [4, 13, 5]}\n"


def test_a_trial_that_raises_is_recorded_and_can_be_retried(sweep, tmp_path):
    flag = tmp_path / "lucky"
    (tmp_path / "m.py").write_text(MODEL.format(flag=str(flag)))
    allowed = frozenset({f"{tmp_path}/"})
    run = sweep(OWN, allow_import=allowed)
    trials = read_trials(run.folder.path)
    assert [trial.status for trial in trials] == ["finished", "failed", "finished"]
    assert "thirteen is unlucky" in trials[1].message and "m.py:5" in trials[1].message
    assert run.status == "finished" and run.results["trials"]["failed"] == 1
    flag.touch()
    sweep(resume=run.folder, allow_import=allowed)
    assert read_trials(run.folder.path)[1].status == "failed"  # only if asked to
    sweep(resume=run.folder, allow_import=allowed, retry_failed=True)
    after = read_trials(run.folder.path)
    assert after[1].status == "finished" and after[1].message == ""
    same_results(after[::2], trials[::2])


GREEDY = """\
import torch
from torch import nn
class Greedy(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.net, self.width, self.calls = nn.Sequential(nn.Linear(2, width), nn.Linear(width, 2)), width, 0
    def forward(self, x):
        self.calls += 1
        if self.width == 13 and self.calls > 5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 8.00 GiB")
        return self.net(x)
"""


def test_a_trial_for_which_there_is_no_memory_fails_by_itself(sweep, tmp_path):
    (tmp_path / "g.py").write_text(GREEDY)
    run = sweep(OWN.replace("m.py:net", "g.py:Greedy"), allow_import=frozenset({f"{tmp_path}/"}))
    trials = read_trials(run.folder.path)
    assert [trial.status for trial in trials] == ["finished", "failed", "finished"]
    assert "ran out of memory" in trials[1].message and "smaller data.batch_size" in trials[1].message
    assert run.status == "finished"


def test_one_of_a_stack_that_raises_does_not_take_the_others_with_it(sweep, monkeypatch):
    from lrtool.engine.vector import worker as slots

    real = slots.seeded_model

    def broken(task, seed):
        if seed == 1 and not monkeypatched["loop"]:
            raise RuntimeError("seed one is unlucky")
        return real(task, seed)

    monkeypatched = {"loop": False}
    monkeypatch.setattr(slots, "seeded_model", broken)
    trials = read_trials(sweep("base: base.yaml\nseeds: 4\n").folder.path)
    # The loop engine builds its models elsewhere, so there every one of them works.
    assert [trial.status for trial in trials] == ["finished"] * 4


def test_a_schedule_that_cannot_be_bound_fails_its_own_trials_only(sweep):
    text = (
        "base: {extends: base.yaml, train: {duration: 1ep}}\ngrid: {schedule: [constant, {kind: cosine, warmup: 50}]}\n"
    )
    trials = read_trials(sweep(text).folder.path)
    assert [trial.status for trial in trials] == ["finished", "failed"] and "warmup" in trials[1].message


def test_when_nothing_finishes_the_sweep_says_why(sweep):
    run = sweep("base: base.yaml\ngrid: {optimizer.lr: [1e30]}\nseeds: 2\n")
    assert run.status == "diverged" and "update" in run.reason


def test_a_changed_config_is_not_resumed(sweep):
    run = sweep()
    config = run.folder.path / "config.yaml"
    config.write_text(config.read_text().replace("0.5", "0.25"))
    with pytest.raises(UsageError, match=r"changed since the run was made: its config: grid\.optimizer\.lr"):
        sweep(resume=run.folder)


def test_output_that_cannot_be_written_ends_the_sweep(sweep, monkeypatch):
    from lrtool.runs.sweep.store import SweepStore

    def full(self, trial):
        raise OutputError("cannot write here: the disk is full")

    monkeypatch.setattr(SweepStore, "record", full)
    with pytest.raises(OutputError):
        sweep()


def test_a_plan_that_cannot_be_leaves_no_folder(sweep, tmp_path):
    with pytest.raises(UsageError):
        sweep("base: base.yaml\ngrid: {schedule: [cosin]}\n")
    assert not (tmp_path / "out").exists()


def test_processes_give_the_same_results(sweep):
    text = "base: base.yaml\ngrid: {schedule: [cosine, constant]}\nseeds: 2\n"
    here = read_trials(sweep(text, executor="in-process").folder.path)
    spread = read_trials(sweep(text, executor="local", workers=2).folder.path)
    same_results(spread, here)


def test_tuning_gives_each_variant_its_own_lr_once(sweep, tmp_path):
    text = "base: base.yaml\nvariants: {a: {schedule: cosine}, b: {schedule: constant}}\ntune: {budget: 30}\nseeds: 2\n"
    with pytest.raises(KeyboardInterrupt):
        sweep(text, board=StopAfter(1), base=("train.duration=30",))
    folder = newest(tmp_path)
    searched = sorted((folder.path / "tune").glob("*/*-tune*"))
    assert len(searched) == 2
    run = sweep(resume=folder)
    assert sorted((folder.path / "tune").glob("*/*-tune*")) == searched  # not again
    found = [json.loads((path / "summary.json").read_text())["suggested_lr"] for path in searched]
    trials = read_trials(folder.path)
    assert {trial.variant: trial.settings["optimizer.lr"] for trial in trials} == dict(zip("ab", found, strict=True))
    assert run.results["tuned"] == dict(zip("ab", found, strict=True))


def trace(steps, evaluations=(), loss=None):
    from lrtool.engine.trials import Evaluation

    values = np.arange(steps, dtype=float) if loss is None else np.asarray(loss, dtype=float)
    measured = [Evaluation(step, {"val_loss": step / 10}) for step in evaluations]
    return Trace(None, Status.FINISHED, values, values / 100, np.full(steps, 0.5), evaluations=measured)


def test_a_curve_of_few_steps_has_them_all():
    made = curve(trace(3, [2, 3]))
    np.testing.assert_equal(made["step"], [1, 2, 3])
    np.testing.assert_equal(made["train_loss"], [0, 1, 2])
    np.testing.assert_equal(made["val_loss"], [np.nan, 0.2, 0.3])


@pytest.mark.parametrize("steps", [1, 199, 200, 201, 5000])
@pytest.mark.parametrize("every", [1, 7, 300])
def test_a_curve_has_at_most_200_points_and_ends_with_the_last_evaluation(steps, every):
    evaluations = sorted({*range(every, steps + 1, every), steps})
    made = curve(trace(steps, evaluations))
    marks = np.array(made["step"])
    assert len(marks) <= 200 and marks[-1] == steps and (np.diff(marks) > 0).all()
    assert made["val_loss"][-1] == steps / 10
    # Means of blocks: weighted by length they give the mean of all.
    np.testing.assert_allclose(np.average(made["train_loss"], weights=np.diff([0, *marks])), (steps - 1) / 2)
    np.testing.assert_equal(made["lr"], (marks - 1) / 100)


def test_no_updates_are_no_curve_and_no_values():
    assert curve(trace(0)) == {} and final_values(trace(0)) == {}


def test_the_final_training_loss_is_a_mean_over_the_end():
    assert final_values(trace(100, [100])) == {"train_loss": 94.5, "val_loss": 10.0}


def test_a_loss_that_overflows_makes_no_noise():
    with np.errstate(all="raise"):
        assert curve(trace(2, loss=[1.0, np.inf]))["train_loss"] == [1.0, np.inf]


def test_two_processes_cannot_resume_the_same_sweep(sweep):
    from lrtool.runs.sweep.store import SweepStore

    run = sweep()
    with SweepStore(run.folder.path), pytest.raises(UsageError, match="another process is working on this sweep"):
        sweep(resume=run.folder)
    assert run.folder.summary()["status"] == "finished"  # the refused one has touched nothing


def test_a_damaged_database_is_resumed_from_what_is_left(sweep):
    run = sweep()
    undisturbed = read_trials(run.folder.path)
    file = run.folder.path / FILE
    os.truncate(file, file.stat().st_size // 2)
    sweep(resume=run.folder)
    same_results(read_trials(run.folder.path), undisturbed)


@pytest.mark.parametrize("higher", [True, False])
def test_what_a_metric_says_of_its_direction_reaches_the_comparison(sweep, tmp_path, higher):
    (tmp_path / "m.py").write_text("def wobble(output, target):\n    return output.sum(-1)\n")
    metric = f"{{use: 'm.py:wobble', higher_is_better: {str(higher).lower()}}}"
    text = f"base: base.yaml\ngrid: {{schedule: [cosine, constant], metrics: [[{metric}]], seed: 2}}\n"
    folder = sweep(text).folder.path
    assert read_fact(folder, HIGHER_IS_BETTER) == {"val_wobble": higher}
    report, _ = compare_runs([str(folder)], "wobble", None, (), None)
    assert report.comparison.higher_is_better is higher
