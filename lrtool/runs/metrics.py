"""`metrics.csv`: one row an update, written while training runs, read back as arrays."""

from __future__ import annotations

import contextlib
import csv
import errno
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lrtool.errors import UsageError
from lrtool.runs import links
from lrtool.runs.atomic import check_there, output_error, write_all, write_bytes
from lrtool.runs.manifest import check_file, check_not_removed

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

    def __init__(self, path: Path, columns: Sequence[str], known: Iterable[Mapping[str, float]] | None = None) -> None:
        """Begin a file, or go on with one that is to have the rows `known` and no others.

        `mended` says what was wrong where those were not there as they should be; it is then written anew with them.
        Raises OutputError where it cannot be written, UsageError where it is a link.
        """
        self.path, self.columns = path, (*FIRST, *columns, "seconds")
        self.mended = ""
        self._cells = [(name, _CELLS.get(name, _measured)) for name in self.columns]
        start = (",".join(self.columns) + "\n").encode() + self._lines(known or ())
        try:
            if known is not None:
                self.mended = _difference(path, start)
            if known is None or self.mended:
                write_bytes(path, start)
            self._handle: int | None = links.opened(path, os.O_WRONLY | os.O_APPEND)
            os.ftruncate(self._handle, len(start))
        except OSError as error:
            raise output_error(path, error) from None

    def write(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Append rows; a value that is missing is an empty cell, one that is no number is `nan`."""
        data = self._lines(rows)
        if not data:
            return
        assert self._handle is not None
        start = os.fstat(self._handle).st_size
        try:
            write_all(self._handle, data)
        except OSError as error:
            # A full disk takes part of the data: keep whole lines only.
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, start)
            raise output_error(self.path, error) from None

    def cut(self, trial: int, steps: int) -> None:
        """Take back a trial's rows from update `steps` on; raises OutputError as `write` does."""
        assert self._handle is not None
        try:
            lines = self.path.read_bytes().splitlines(keepends=True)
            kept = [line for number, line in enumerate(lines) if not number or not _is_beyond(line, trial, steps)]
            write_bytes(self.path, b"".join(kept))
            os.close(self._handle)
            self._handle = None
            self._handle = links.opened(self.path, os.O_WRONLY | os.O_APPEND)
        except OSError as error:
            raise output_error(self.path, error) from None

    def flush(self) -> None:
        """Make everything written so far survive a power cut; OutputError where the file is not there any more."""
        assert self._handle is not None
        try:
            check_there(self.path, self._handle)
            os.fsync(self._handle)
        except OSError as error:
            raise output_error(self.path, error) from None

    def close(self) -> None:
        """Flush and close; closing twice is fine."""
        if self._handle is None:
            return
        try:
            self.flush()
        finally:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lines(self, rows: Iterable[Mapping[str, float]]) -> bytes:
        cells = self._cells
        lines = [",".join([written(row.get(name)) for name, written in cells]) for row in rows]
        return ("\n".join(lines) + "\n").encode() if lines else b""


def _is_beyond(line: bytes, trial: int, steps: int) -> bool:
    """Whether a row is of a trial's update `steps`, or a later one."""
    number, step, _ = line.split(b",", 2)
    return int(number) == trial and int(step) >= steps


def _difference(path: Path, start: bytes) -> str:
    """In words, where a file does not begin like this; empty where it does. Raises OSError."""
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return "it was missing"
    if found.startswith(start):
        return ""
    there, wanted = found.splitlines(keepends=True), start.splitlines(keepends=True)
    same = next((n for n, pair in enumerate(zip(there, wanted, strict=False)) if pair[0] != pair[1]), len(there))
    if same == len(there):
        return f"it ended after {max(0, same - 1):,} of {len(wanted) - 1:,} rows"
    return f"its line {same + 1:,} was missing or changed"


def read_metrics(path: Path) -> dict[str, NDArray[np.float64]]:
    """Every column of a `metrics.csv`, each (rows,), NaN where not measured; a torn last line is left out.

    Raises UsageError where the file is missing or not such a file.
    """
    links.check_file(path, in_place=False)
    try:
        data = path.read_bytes()
    except OSError as error:
        check_not_removed(path)
        raise UsageError(
            f"cannot be read: {error.strerror}", where=str(path), remedy="give the folder of a run that has metrics"
        ) from None
    check_file(path, data)
    header, _, body = data[: data.rfind(b"\n") + 1].partition(b"\n")
    names = next(csv.reader([header.decode(errors="replace")]), [])
    if tuple(names[: len(FIRST)]) != FIRST:
        raise UsageError(
            f"this is not a metrics.csv: it begins with {data[:60].decode(errors='replace')!r}", where=str(path)
        )
    if not body:
        return {name: np.empty(0) for name in names}
    table = dict(zip(names, _table(path, body, len(names)).T, strict=True))
    if gap := _gap(table["trial"], table["step"]):
        raise UsageError(f"damaged: {gap}", where=str(path), remedy="resume the run, or start it again")
    return table


def sort_metrics(path: Path) -> None:
    """Put the rows in the order of trials and updates, in which they come whenever the trials were trained.

    Trials that train side by side are written as they go. Raises OutputError.
    """
    try:
        header, *rows = path.read_bytes().splitlines(keepends=True)
    except (OSError, ValueError) as error:
        raise output_error(path, error if isinstance(error, OSError) else OSError(errno.EIO, "it is empty")) from None
    ordered = sorted(rows, key=lambda row: tuple(map(int, row.split(b",", 2)[:2])))
    if ordered != rows:
        write_bytes(path, b"".join([header, *ordered]))


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


def _gap(trials: NDArray[np.float64], steps: NDArray[np.float64]) -> str:
    """In words, where the rows of a trial are not those of its updates 0, 1, 2, …; empty where they are."""
    order = np.argsort(trials, kind="stable")
    trials, steps = trials[order], steps[order]
    first = np.flatnonzero(np.diff(trials, prepend=np.nan) != 0)
    expected = np.arange(len(steps)) - np.repeat(first, np.diff(np.append(first, len(steps))))
    wrong = np.flatnonzero(~(steps == expected))
    if not len(wrong):
        return ""
    at = int(wrong[0])
    return f"of trial {trials[at]:g} the row of update {expected[at]} should come next, but it is that of {steps[at]:g}"


def _whole(value: float | None) -> str:
    return "" if value is None else str(int(value))


def _measured(value: float | None) -> str:
    # What is no number is a measurement, too.
    return "" if value is None else repr(float(value))


#: How a column is written, where it is not a number that may be missing.
_CELLS = {"trial": _whole, "step": _whole, "epoch": _whole}
