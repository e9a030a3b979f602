"""A text table as columns; every problem names its line and column."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrtool.errors import TaskError

_MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}


@dataclass(frozen=True)
class Column:
    """One column: its cells as text, and the line of the file each stands in."""

    name: str
    path: Path
    cells: list[str]
    lines: list[int]

    @cached_property
    def parsed(self) -> list[float | None]:
        """Each cell as a number, None where it is none."""
        return [_number(cell) for cell in self.cells]

    @cached_property
    def is_numeric(self) -> bool:
        """Whether at least half of the cells are numbers; the others are then errors, not categories."""
        return 2 * sum(value is not None for value in self.parsed) >= len(self.cells)

    def numbers(self) -> NDArray[np.float64]:
        """The cells as finite numbers, shape (rows,); raises TaskError at the first that is none."""
        for cell, value, line in zip(self.cells, self.parsed, self.lines, strict=True):
            if value is None:
                raise self._error(f"{cell!r} is not a number", line, "write a number, or remove the line")
            if not math.isfinite(value):
                raise self._error(f"{cell!r} is not a finite number", line, "write a number, or remove the line")
        return np.array(self.parsed, dtype=np.float64)

    def classes(self) -> tuple[NDArray[np.int64], list[str]]:
        """Numbers of the classes in sorted order, shape (rows,), and what each stands for."""
        if self.is_numeric:  # 1 and 1.0 are one class
            numbers, labels = np.unique(self.numbers(), return_inverse=True)
            return labels.astype(np.int64), [f"{number:g}" for number in numbers]
        texts, labels = np.unique(np.array(self.cells), return_inverse=True)
        return labels.astype(np.int64), [str(text) for text in texts]

    def check_complete(self) -> None:
        """Raise TaskError at the first cell that is empty or says that its value is missing."""
        for cell, line in zip(self.cells, self.lines, strict=True):
            if cell.lower() in _MISSING:
                what = f"the value is missing ({cell!r})"
                raise self._error(what, line, "fill it in, remove the line, or leave the column out of `features`")

    def _error(self, what: str, line: int, remedy: str) -> TaskError:
        return TaskError(f"column {self.name!r}: {what}", where=f"{self.path}:{line}", remedy=remedy)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def read_table(path: Path, delimiter: str) -> dict[str, Column]:
    """The columns of a file with a header, by name; raises TaskError for an empty, ragged or unreadable table."""
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
            for row in reader:
                if row:
                    rows.append([cell.strip() for cell in row])
                    lines.append(reader.line_num)
    except (UnicodeDecodeError, csv.Error) as error:
        raise TaskError(
            f"{path} is not a UTF-8 table ({error})", where="data.path", remedy="save it as UTF-8"
        ) from None
    if len(rows) < 2:
        what = "only a header" if rows else "nothing"
        raise TaskError(f"{path} holds {what}", where="data.path", remedy="give a header and at least one row")
    header = rows[0]
    _check_rows(path, rows, lines)
    return {
        name: Column(name, path, [row[number] for row in rows[1:]], lines[1:]) for number, name in enumerate(header)
    }


def _check_rows(path: Path, rows: list[list[str]], lines: list[int]) -> None:
    header = rows[0]
    if len(set(header)) < len(header):
        double = next(name for name in header if header.count(name) > 1)
        raise TaskError(f"two columns are named {double!r}", where=f"{path}:{lines[0]}", remedy="rename one")
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(header):
            raise TaskError(
                f"the header names {len(header)} columns, but this line has {len(row)}",
                where=f"{path}:{line}",
                remedy="mend the line, or write the `delimiter` that separates the columns",
            )
