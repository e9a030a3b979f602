"""`metrics.csv`: one row an update, written while training runs, read back as arrays."""

from __future__ import annotations

import csv
import io
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

#: The columns every file has; others stand between `train_loss` and `seconds`.
FIRST = ("trial", "step", "epoch", "lr", "train_loss")
_WHOLE = frozenset({"trial", "step", "epoch"})


class MetricsWriter:
    """Appends rows in whole lines; what was written stays on disk however the process ends.

    `columns` are those between `train_loss` and `seconds`. The row of step t holds what update t used and
    gave; an evaluation after t+1 updates stands in it too. An empty cell was not measured. Numbers are
    written in the fewest digits that read back the same, so equal runs give equal bytes.
    """

    def __init__(self, path: Path, columns: Sequence[str], resume_at: int | None = None) -> None:
        self.path, self.columns = path, (*FIRST, *columns, "seconds")
        try:
            if resume_at is None:
                write_bytes(path, self._line(self.columns))
            else:
                self._keep_before(resume_at)
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise output_error(path, error) from None

    def write(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Append rows; a value that is missing or NaN in an optional column is an empty cell."""
        data = b"".join(self._line([_cell(name, row.get(name)) for name in self.columns]) for row in rows)
        if data:
            try:
                self._file.write(data)
            except OSError as error:
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
        lines = self.path.read_bytes().splitlines(keepends=True)
        header = lines[0].decode().strip().split(",") if lines else []
        if header != list(self.columns):
            raise UsageError(
                f"its columns are {','.join(header)}, but this run writes {','.join(self.columns)}",
                where=str(self.path),
                remedy="start the run again",
            )
        rows = (line for line in lines[1:] if line.endswith(b"\n"))
        kept = [row for row in rows if int(row.split(b",", 2)[1]) < step]
        write_bytes(self.path, b"".join([lines[0], *kept]))

    @staticmethod
    def _line(cells: Sequence[str]) -> bytes:
        return (",".join(cells) + "\n").encode()


def read_metrics(path: Path) -> dict[str, NDArray[np.float64]]:
    """Every column of a `metrics.csv`, each (rows,), NaN where not measured; a torn last line is left out.

    Raises UsageError where the file is missing or not such a file.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from None
    whole = text[: text.rfind("\n") + 1]
    header, _, body = whole.partition("\n")
    names = next(csv.reader([header]), [])
    if tuple(names[: len(FIRST)]) != FIRST:
        raise UsageError(f"this is not a metrics.csv: its columns are {header[:80]!r}", where=str(path))
    if not body:
        return {name: np.empty(0) for name in names}
    table = np.genfromtxt(io.StringIO(body), delimiter=",", dtype=np.float64, ndmin=2, filling_values=math.nan)
    return dict(zip(names, table.T, strict=True))


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if name in _WHOLE:
        return str(int(value))
    # A diverged loss is a measurement, so it is written as it is.
    return repr(float(value)) if not math.isnan(value) or name == "train_loss" else ""
