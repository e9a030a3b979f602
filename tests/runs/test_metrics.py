import math

import numpy as np
import pytest

from lrtool.errors import OutputError, UsageError
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
    write(resumed, range(6, 10), resume_at=6)
    assert resumed.read_bytes() == whole.read_bytes()


def test_resuming_with_other_columns_is_refused(tmp_path):
    write(tmp_path / "m.csv", range(2))
    with pytest.raises(UsageError, match=r"its columns are trial.*but this run writes"):
        MetricsWriter(tmp_path / "m.csv", ("grad_norm",), resume_at=1)


def test_resuming_without_metrics_is_refused(tmp_path):
    with pytest.raises(UsageError, match="missing"):
        MetricsWriter(tmp_path / "m.csv", COLUMNS, resume_at=1)


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch):
    path = tmp_path / "m.csv"
    writer = MetricsWriter(path, COLUMNS)
    writer.write([row(0)])

    class Full:
        """Takes ten bytes, then reports a full disk, as an operating system does."""

        def __init__(self, file):
            self.file, self.taken = file, False

        def __getattr__(self, name):
            return getattr(self.file, name)

        def write(self, data):
            if self.taken:
                raise OSError(28, "No space left on device")
            self.taken = True
            return self.file.write(data[:10])

    monkeypatch.setattr(writer, "_file", Full(writer._file))
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
