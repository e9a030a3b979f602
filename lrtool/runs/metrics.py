"""`metrics.csv`: one row an update, written while training runs, read back as arrays."""

from __future__ import annotations

import contextlib
import csv
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lrtool.errors import UsageError
from lrtool.runs.atomic import output_error, write_bytes
from lrtool.runs.links import opened

#: The columns every file has; others stand between `train_loss` and `seconds`.
FIRST = ("trial", "step", "epoch", "lr", "train_loss")
#: The final training loss is the mean over this last part of the updates: a single batch says little.
_TAIL = 0.1


class MetricsWriter:
    """Appends rows in whole lines; what was written stays on disk however the process ends.

    `columns` are those between `train_loss` and `seconds`. The row of step t holds what update t used and
    gave; an evaluation after t+1 updates stands in it too. An empty cell was not measured. Numbers are
    written in the fewest digits that read back the same, so equal runs give equal bytes.
    """

    def __init__(self, path: Path, columns: Sequence[str], resume_at: int | None = None) -> None:
        self.path, self.columns = path, (*FIRST, *columns, "seconds")
        self._cells = [(name, _CELLS.get(name, _measured)) for name in self.columns]
        try:
            if resume_at is None:
                write_bytes(path, self._line(self.columns))
            else:
                self._keep_before(resume_at)
            self._file = os.fdopen(opened(path, os.O_WRONLY | os.O_APPEND), "ab", buffering=0)
        except OSError as error:
            raise output_error(path, error) from None

    def write(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Append rows; a value that is missing is an empty cell, one that is no number is `nan`."""
        cells = self._cells
        lines = [",".join([written(row.get(name)) for name, written in cells]) for row in rows]
        if not lines:
            return
        data = ("\n".join(lines) + "\n").encode()
        start, rest = self._file.tell(), memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError as error:
            # A full disk takes part of the data: keep whole lines only.
            with contextlib.suppress(OSError):
                self._file.truncate(start)
            raise output_error(self.path, error) from None

    def flush(self) -> None:
        """Make everything written so far survive a power cut."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise output_error(self.path, error) from None

    def close(self) -> None:
        """Flush and close; closing twice is fine."""
        if not self._file.closed:
            self.flush()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _keep_before(self, step: int) -> None:
        """Drop rows of `step` and later, and a last line that was torn by the end of a process."""
        try:
            lines = self.path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            raise UsageError(
                "the metrics of the run to go on with are missing", where=str(self.path), remedy="start the run again"
            ) from None
        header = lines[0].decode().strip().split(",") if lines else []
        if header != list(self.columns):
            raise UsageError(
                f"its columns are {','.join(header)}, but this run writes {','.join(self.columns)}",
                where=str(self.path),
                remedy="start the run again",
            )
        kept = [row for row in lines[1:] if (at := _step_of(row)) is not None and at < step]
        write_bytes(self.path, b"".join([lines[0], *kept]))

    @staticmethod
    def _line(cells: Sequence[str]) -> bytes:
        return (",".join(cells) + "\n").encode()


def read_metrics(path: Path) -> dict[str, NDArray[np.float64]]:
    """Every column of a `metrics.csv`, each (rows,), NaN where not measured; a torn last line is left out.

    Raises UsageError where the file is missing or not such a file.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}", where=str(path), remedy="give the folder of a run that has metrics"
        ) from None
    header, _, body = data[: data.rfind(b"\n") + 1].partition(b"\n")
    names = next(csv.reader([header.decode(errors="replace")]), [])
    if tuple(names[: len(FIRST)]) != FIRST:
        raise UsageError(
            f"this is not a metrics.csv: it begins with {data[:60].decode(errors='replace')!r}", where=str(path)
        )
    if not body:
        return {name: np.empty(0) for name in names}
    return dict(zip(names, _table(path, body, len(names)).T, strict=True))


def final_train_loss(losses: NDArray[np.float64]) -> float:
    """The mean of the last tenth of a run's training losses, of the last one at least; NaN without any.

    >>> final_train_loss(np.arange(19.0)), final_train_loss(np.arange(20.0))
    (18.0, 18.5)
    """
    return float(losses[-max(1, int(len(losses) * _TAIL)) :].mean()) if len(losses) else math.nan


def _table(path: Path, body: bytes, columns: int) -> NDArray[np.float64]:
    """The rows as numbers; `loadtxt` is ten times as fast as `genfromtxt` but knows no empty cell."""
    filled = body.replace(b",,", b",nan,").replace(b",,", b",nan,").replace(b",\n", b",nan\n")
    try:
        table = np.loadtxt(filled.decode().splitlines(), delimiter=",", ndmin=2)
    except ValueError as error:
        raise UsageError(f"damaged: {error}", where=str(path), remedy="resume the run, or start it again") from None
    if table.shape[1] != columns:
        raise UsageError(f"damaged: {columns} columns are named, but rows have {table.shape[1]}", where=str(path))
    return table


def _step_of(row: bytes) -> int | None:
    """The step of a whole row; None for a torn one."""
    cells = row.split(b",", 2)
    return int(cells[1]) if row.endswith(b"\n") and len(cells) == 3 and cells[1].isdigit() else None


def _whole(value: float | None) -> str:
    return "" if value is None else str(int(value))


def _measured(value: float | None) -> str:
    # What is no number is a measurement, too.
    return "" if value is None else repr(float(value))


#: How a column is written, where it is not a number that may be missing.
_CELLS = {"trial": _whole, "step": _whole, "epoch": _whole}
