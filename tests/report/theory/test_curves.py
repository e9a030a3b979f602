"""Loss curves out of CSV files and run folders: what is filled in, and what is refused with its place."""

import json

import numpy as np
import pytest

from lrtool.errors import UsageError
from lrtool.report.theory.curves import curve_rates, loss_curve


@pytest.fixture
def file(tmp_path):
    def file(rows, header="step,lr,loss", name="run.csv"):
        path = tmp_path / name
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    return file


def falling(steps, lr=0.1):
    return [f"{step},{lr},{2 + 1 / (1 + step / 100)}" for step in steps]


def test_a_log_that_starts_after_the_warm_up(file):
    curve = loss_curve(file(falling(range(100, 1001, 10))))
    assert curve.name == "run" and curve.warmup == 99
    assert curve.rates[:100] == pytest.approx(0.1 * np.arange(1, 101) / 100)
    assert (curve.rates[99:] == 0.1).all() and len(curve.rates) == 1001
    assert curve.steps.tolist() == list(range(100, 1001, 10)) and not curve.falls


def test_a_log_of_every_so_many_updates_does_not_start_late(file):
    curve = loss_curve(file(falling(range(20, 1001, 20))))
    assert curve.warmup == 0 and (curve.rates == 0.1).all()


def test_a_jump_between_constant_lrs_is_where_the_new_one_first_stands(file):
    rows = [*falling(range(0, 500, 50)), *falling(range(500, 1001, 50), 0.01)]
    curve = loss_curve(file(rows))
    assert (curve.rates[:500] == 0.1).all() and (curve.rates[500:] == 0.01).all()


def test_lrs_between_rows_lie_on_straight_lines(file):
    rows = [f"{step},{1 - step / 1000},{3 - step / 1000}" for step in range(0, 1000, 20)]
    curve = loss_curve(file(rows))
    assert curve.rates == pytest.approx(1 - np.arange(981) / 1000) and curve.falls and curve.warmup == 0


def test_other_names_of_columns_and_a_metric(file):
    rows = [f"{step},{0.1},{1},{3 - step / 1000}" for step in range(0, 1000, 20)]
    path = file(rows, "iteration,learning_rate,val_loss,my loss")
    assert loss_curve(path, "my loss").losses[-1] == pytest.approx(2.02)
    with pytest.raises(UsageError, match="does not fall"):
        loss_curve(path)


def test_a_file_without_losses_is_a_target_only(file):
    path = file([f"{step},{0.1}" for step in range(0, 1000, 100)], "step,lr")
    curve, measured = curve_rates(path)
    assert not measured and len(curve.rates) == 901
    with pytest.raises(UsageError, match="no column for the loss"):
        loss_curve(path)


@pytest.mark.parametrize(
    ("rows", "header", "said"),
    [
        ([], "step,lr,loss", r"run.csv: the table has no rows"),
        (["0,0.1,3"], "time,lr,loss", r"run.csv:1: the header has no column step, but time, lr, loss"),
        (["0,0.1,3", "1,0.1,nan"], "step,lr,loss", r"run.csv:3: loss must be a finite number, but got 'nan'"),
        (["0,0.1,3", "1,x,2"], "step,lr,loss", r"run.csv:3: lr must be a finite number, but got 'x'"),
        (["0,0.1,3", "1,0.1"], "step,lr,loss", r"run.csv:3: loss must be a finite number, but got 'nothing'"),
        (["5,0.1,3", "4,0.1,2"], "step,lr,loss", r"run.csv:3: steps must increase, but 5 is followed by 4"),
        (["0,-1,3", "1,0.1,2"], "step,lr,loss", "LRs are at least 0"),
        (["0,0,3", "1,0,2"], "step,lr,loss", "somewhere above"),
        (["0.5,0.1,3", "1,0.1,2"], "step,lr,loss", "whole numbers"),
        (falling(range(5)), "step,lr,loss", "has . losses, but a law needs 10"),
        ([f"{s},0.1,{1 + s}" for s in range(100)], "step,lr,loss", "the run diverged, or learned nothing"),
        ([f"{s},0.1,{-s - 1}" for s in range(100)], "step,lr,loss", "losses above 0"),
    ],
)
def test_what_cannot_be_read(file, rows, header, said):
    with pytest.raises(UsageError, match=said):
        loss_curve(file(rows, header))


def test_nothing_there(tmp_path):
    with pytest.raises(UsageError, match="no such file or folder"):
        loss_curve(tmp_path / "nowhere.csv")


def run(tmp_path, status="finished", command="train", loss=lambda t: 2 + 1 / (1 + t / 100)):
    folder = tmp_path / f"20260101-000000-{command}"
    folder.mkdir()
    (folder / "config.yaml").write_text("name: small\n")
    summary = {"schema": 1, "command": command, "status": status, "reason": "", "steps": 400, "seconds": 1.0,
               "config_hash": "x"}  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    rows = [f"0,{t},0,{0.1 * (1 - t / 400)},{loss(t)},{2.5 if t % 10 == 9 else ''},0.01" for t in range(400)]
    (folder / "metrics.csv").write_text("trial,step,epoch,lr,train_loss,val_loss,seconds\n" + "\n".join(rows) + "\n")
    return folder


def test_a_run_folder(tmp_path):
    folder = run(tmp_path)
    curve = loss_curve(folder)
    assert curve.steps[0] == 0 and len(curve.rates) == len(curve.losses) == 400
    # An evaluation in the row of update t was made after it.
    with pytest.raises(UsageError, match="does not fall"):
        loss_curve(folder, "val_loss")
    with pytest.raises(UsageError, match="no column 'val_acc'"):
        loss_curve(folder, "val_acc")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"status": "diverged"}, "this training is diverged"),
        ({"status": "failed"}, "this training is failed"),
        ({"command": "tune"}, "this is a tune run, not a training"),
    ],
)
def test_runs_that_say_nothing(tmp_path, options, said):
    with pytest.raises(UsageError, match=said):
        loss_curve(run(tmp_path, **options))
