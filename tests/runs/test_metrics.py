import math
import os

import numpy as np
import pytest

from lrtool.errors import OutputError, UsageError
from lrtool.runs.manifest import manifest_of_run
from lrtool.runs.metrics import MetricsWriter, read_metrics

COLUMNS = ("val_loss", "momentum")


def row(step, **more):
    values = {"trial": 0, "step": step, "epoch": step // 4, "lr": 0.1 / 3, "train_loss": 1 / (step + 3)}
    return {**values, "momentum": 0.9, "seconds": 0.25 * step, **more}


def write(path, steps, **arguments):
    with MetricsWriter(path, COLUMNS, **arguments) as writer:
        writer.write(row(step) for step in steps)


def test_columns_stand_in_the_order_scripts_rely_on(tmp_path):
    write(tmp_path / "m.csv", [0])
    header = (tmp_path / "m.csv").read_text().splitlines()[0]
    assert header == "trial,step,epoch,lr,train_loss,val_loss,momentum,seconds"


def test_numbers_read_back_exactly(tmp_path):
    path = tmp_path / "m.csv"
    values = [0.1, 1e-300, 2 / 3, float(np.float32(0.1)), math.inf, math.nan, -0.0, 12345678901234567.0]
    with MetricsWriter(path, COLUMNS) as writer:
        writer.write(row(step, train_loss=value) for step, value in enumerate(values))
    np.testing.assert_array_equal(read_metrics(path)["train_loss"], values)


def test_what_was_not_measured_is_an_empty_cell_and_reads_as_nan(tmp_path):
    path = tmp_path / "m.csv"
    with MetricsWriter(path, ("val_loss", "val_accuracy", "momentum")) as writer:
        writer.write([row(0), {**row(1, val_loss=0.5), "momentum": None}])
        writer.write([{name: value for name, value in row(2).items() if name not in ("momentum", "seconds")}])
    lines = path.read_text().splitlines()
    assert lines[1].split(",")[5:7] == ["", ""]
    assert lines[3].endswith(",,,,")
    table = read_metrics(path)
    np.testing.assert_array_equal(table["val_loss"], [math.nan, 0.5, math.nan])
    np.testing.assert_array_equal(table["momentum"], [0.9, math.nan, math.nan])
    np.testing.assert_array_equal(table["seconds"], [0, 0.25, math.nan])


def test_rows_are_on_disk_before_the_writer_is_closed(tmp_path):
    writer = MetricsWriter(tmp_path / "m.csv", COLUMNS)
    writer.write([row(0), row(1)])
    assert read_metrics(tmp_path / "m.csv")["step"].tolist() == [0, 1]
    writer.close()
    writer.close()


def test_a_torn_last_line_is_left_out(tmp_path):
    path = tmp_path / "m.csv"
    write(path, range(3))
    path.write_bytes(path.read_bytes()[:-7])
    assert read_metrics(path)["step"].tolist() == [0, 1]


@pytest.mark.parametrize("torn", [0, 3, 30])
def test_resuming_gives_the_bytes_of_a_run_that_never_stopped(tmp_path, torn):
    whole, resumed = tmp_path / "whole.csv", tmp_path / "resumed.csv"
    write(whole, range(10))
    write(resumed, range(8))
    resumed.write_bytes(resumed.read_bytes()[: -torn or None])
    write(resumed, range(6, 10), known=[row(step) for step in range(6)])
    assert resumed.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda lines: lines[:4], "it ended after 3 of 6 rows"),
        (lambda lines: lines[:3] + lines[5:], "its line 4 was missing or changed"),
        (lambda lines: [*lines[:4], lines[4].replace("0.1", "0.2"), *lines[5:]], "its line 5 was missing or changed"),
        (lambda lines: lines[1:], "its line 1 was missing or changed"),
        (lambda lines: [], "it ended after 0 of 6 rows"),
        (None, "it was missing"),
    ],
)
def test_metrics_that_were_damaged_are_written_anew_and_it_is_said(tmp_path, damage, said):
    whole, resumed = tmp_path / "whole.csv", tmp_path / "resumed.csv"
    write(whole, range(10))
    write(resumed, range(8))
    if damage is None:
        resumed.unlink()
    else:
        lines = resumed.read_text().splitlines(keepends=True)
        resumed.write_text("".join(damage(lines)))
    with MetricsWriter(resumed, COLUMNS, [row(step) for step in range(6)]) as writer:
        assert writer.mended == said
        writer.write(row(step) for step in range(6, 10))
    assert resumed.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("lost", [slice(3, 5), slice(1, 2)])
def test_missing_rows_are_noticed(tmp_path, lost):
    path = tmp_path / "m.csv"
    write(path, range(8))
    lines = path.read_text().splitlines(keepends=True)
    del lines[lost]
    path.write_text("".join(lines))
    with pytest.raises(UsageError, match=rf"damaged: of trial 0 the row of update {lost.start - 1} should come next"):
        read_metrics(path)


def test_a_file_that_was_removed_meanwhile_is_an_error(tmp_path):
    path = tmp_path / "m.csv"
    writer = MetricsWriter(path, COLUMNS)
    path.unlink()
    with pytest.raises(OutputError, match="cannot write here"):
        writer.flush()
    path.write_text("another")
    with pytest.raises(OutputError, match="removed, or replaced by another"):
        writer.close()


def test_what_is_not_as_the_manifest_says_is_refused(tmp_path):
    path = tmp_path / "metrics.csv"
    write(path, range(3))
    (tmp_path / "manifest.sha256").write_bytes(manifest_of_run(tmp_path))
    assert len(read_metrics(path)["step"]) == 3
    path.write_text(path.read_text().replace("0.9", "0.8"))
    with pytest.raises(UsageError, match=r"metrics\.csv: damaged, or changed"):
        read_metrics(path)
    (tmp_path / "manifest.sha256").write_text("nothing")
    with pytest.raises(UsageError, match="the manifest is damaged"):
        read_metrics(path)


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch):
    path = tmp_path / "m.csv"
    writer = MetricsWriter(path, COLUMNS)
    writer.write([row(0)])

    taken = []

    def full(handle, data, write=os.write):
        """Takes ten bytes, then reports a full disk, as an operating system does."""
        if taken:
            raise OSError(28, "No space left on device")
        taken.append(data)
        return write(handle, data[:10])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OutputError, match=r"No space left.*--output DIR"):
        writer.write([row(1)])
    assert path.read_bytes().endswith(b"\n")
    assert read_metrics(path)["step"].tolist() == [0]


def test_an_empty_table_has_its_columns(tmp_path):
    write(tmp_path / "m.csv", [])
    table = read_metrics(tmp_path / "m.csv")
    assert list(table)[:5] == ["trial", "step", "epoch", "lr", "train_loss"]
    assert all(column.shape == (0,) for column in table.values())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "not a metrics.csv"),
        ("", "not a metrics.csv"),
        ("trial,step,epoch,lr,train_loss,seconds\n0,0,0,0.1,oops,1\n", "damaged.*oops"),
        ("trial,step,epoch,lr,train_loss,seconds\n0,0,0\n", "6 columns are named, but rows have 3"),
    ],
)
def test_what_is_no_metrics_file_is_said_so(tmp_path, text, message):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_metrics(tmp_path / "m.csv")


def test_a_missing_file_is_said_so(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_metrics(tmp_path / "m.csv")
