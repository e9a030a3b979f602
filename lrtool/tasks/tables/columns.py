"""A column of a table: its cells, and whether they are numbers, dates or words; problems name line and column."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lrtool.errors import TaskError
from lrtool.tasks.tables.numbers import Decimal, dates, number

#: Cells that say that a value is missing.
MISSING = frozenset(
    {
        "",
        "na",
        "n/a",
        "n.a.",
        "nan",
        "nat",
        "<na>",
        "null",
        "(null)",
        "nil",
        "#n/a",
        "#value!",
        "#div/0!",
        "#ref!",
        "\\n",
    }
    | {"-", "--", "---", "–", "—", "?"}
)
#: Words that say so among numbers; among other words they are one of them.
_NO_NUMBER = frozenset({"none", "unknown", "missing", "."})
#: Part of the cells that must be numbers for the others to be errors, and not the numbers to be words.
_MOST = 0.5

Kind = Literal["number", "date", "word"]


@dataclass(frozen=True)
class Column:
    """One column: its cells as text, and the line of the file each stands in."""

    name: str
    path: Path
    cells: list[str]
    lines: list[int]
    decimal: Decimal = "."
    missing_words: frozenset[str] = frozenset()

    @cached_property
    def kind(self) -> Kind:
        """What its cells are, those that are missing apart."""
        given = [cell for cell in self._given if cell.lower() not in _NO_NUMBER]
        if sum(number(cell, self.decimal) is not None for cell in given) >= max(1, _MOST * len(given)):
            return "number"
        return "date" if dates(self._given) is not None else "word"

    @cached_property
    def _given(self) -> list[str]:
        return [cell for cell in self.cells if cell.lower() not in MISSING and cell not in self.missing_words]

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """Which cells say that they are missing, shape (rows,)."""
        signs = MISSING | _NO_NUMBER if self.kind == "number" else MISSING
        return np.array([cell.lower() in signs or cell in self.missing_words for cell in self.cells], dtype=bool)

    def numbers(self) -> NDArray[np.float64]:
        """Its numbers, NaN where missing, shape (rows,); raises TaskError at the first cell that is no finite one."""
        values = []
        for cell, lacks, line in zip(self.cells, self.missing, self.lines, strict=True):
            value = math.nan if lacks else number(cell, self.decimal)
            if value is None:
                remedy = "write a number, remove the line, or name it under data.missing_words"
                raise self.error(f"{cell!r} is not a number", line, remedy)
            if not lacks and not math.isfinite(value):
                raise self.error(f"{cell!r} is not a finite number", line, "write a number, or remove the line")
            values.append(value)
        return np.array(values, dtype=np.float64)

    def dates(self) -> list[datetime | None]:
        """Its dates, None where missing."""
        found = iter(dates([cell for cell, lacks in zip(self.cells, self.missing, strict=True) if not lacks]) or [])
        return [None if lacks else next(found) for lacks in self.missing]

    def classes(self) -> tuple[NDArray[np.int64], list[str]]:
        """Numbers of the classes in sorted order, shape (rows,), and what each stands for."""
        if self.kind == "number":  # 1 and 1.0 are one class
            numbers, labels = np.unique(self.numbers(), return_inverse=True)
            return labels.astype(np.int64), [f"{each:g}" for each in numbers]
        texts, labels = np.unique(np.array(self.cells), return_inverse=True)
        return labels.astype(np.int64), [str(text) for text in texts]

    def rows(self, kept: NDArray[np.int64]) -> Column:
        """The same column with these rows only."""
        cells, lines = ([each[at] for at in kept] for each in (self.cells, self.lines))
        return Column(self.name, self.path, cells, lines, self.decimal, self.missing_words)

    def error(self, what: str, line: int, remedy: str) -> TaskError:
        """A problem with a cell."""
        return TaskError(f"column {self.name!r}: {what}", where=f"{self.path}:{line}", remedy=remedy)


def as_cell(value: Any) -> str:
    """A value of a typed table as a text table would have it."""
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
