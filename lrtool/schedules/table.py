"""A schedule read from a CSV file."""

from __future__ import annotations

import csv
import math
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, PrivateAttr, ValidationInfo

from lrtool import units
from lrtool.errors import ScheduleError, UsageError
from lrtool.reading import MEBI, check_regular
from lrtool.schedules.base import Schedule
from lrtool.schedules.curve import Array, Binding


def _absolute(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    return path if folder is None else Path(folder) / path


class Table(Schedule):
    """The values of a CSV file, one row an update.

    factor(d) = row[d];  with `interpolate`, a straight line between the rows around d

    The file has a header with `step` (0, 1, 2, … from the end of warm-up) and either `lr` (LRs) or `factor`
    (parts of the peak). Steps increase; rows may only be missing with `interpolate`. The table must reach the
    run's last update; past the run, the row after it is held, or else the last. Rates are finite, at least 0
    and not above the peak. A relative path starts from the config's folder.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "rates.csv"
    >>> _ = file.write_text("step,lr\\n0,0.1\\n1,0.05\\n2,0.01\\n")
    >>> Table(file=file).bind(lr=0.1, steps=3)([0, 1, 2, 9])
    array([0.1 , 0.05, 0.01, 0.01])

    Source: replay of a recorded run; any curve, such as a lambda's, can be written as a table.
    """

    helps: ClassVar[str] = "Replaying the LRs of a recorded run, or of a function no other kind covers."
    hurts: ClassVar[str] = "It is tied to one length of run: a longer one is an error, not a guess."

    kind: Literal["table"] = "table"
    file: Annotated[Path, AfterValidator(_absolute)] = Field(description="CSV file with columns step and lr or factor.")
    interpolate: bool = Field(False, description="Allow missing steps, and draw straight lines across them.")

    _steps: Any = PrivateAttr(None)
    _values: Any = PrivateAttr(None)

    def resolve(self, run: Binding) -> Self:
        """Also reads the file."""
        resolved = super().resolve(run)
        steps, values, column = _read(self.file)
        where = str(self.file)
        if not self.interpolate and not np.array_equal(steps, np.arange(len(steps))):
            gap = int(np.flatnonzero(steps != np.arange(len(steps)))[0])
            raise ScheduleError(
                f"steps must count 0, 1, 2, …, but step {gap} is missing",
                where=where,
                remedy="add the row, or write interpolate: true",
            )
        factors = values / run.peak if column == "lr" else values
        if factors.max() > 1 + units.ROUNDING:
            raise ScheduleError(
                f"values must not be above the peak of {run.peak:g}, but the table reaches"
                f" {values.max():g} in the column {column}",
                where=where,
                remedy="raise the LR to the table's highest value",
            )
        resolved._steps, resolved._values = steps, np.minimum(factors, 1.0)
        return resolved

    def check(self, length: int) -> None:
        """The table must reach the last update."""
        last = int(self._steps[-1])
        if last < length - 1:
            raise ScheduleError(
                f"the table ends at step {last}, but the run goes on to step {length - 1}",
                where=str(self.file),
                remedy=f"add rows, or write duration: {last + 1 + self.lead} to hold the last value",
            )

    def factor(self, d: Array, length: int) -> Array:
        """Rows, or straight lines between them."""
        out: Array = np.interp(d, self._steps, self._values)
        return out


#: No table of LRs is larger: 10 million rows.
_MOST_BYTES = 256 * MEBI


def _read(file: Path) -> tuple[Array, Array, str]:
    """Steps, values and the name of the value column; every problem is an error with its line."""
    try:
        check_regular(file, _MOST_BYTES)
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns = reader.fieldnames or []
            column = next((name for name in ("lr", "factor") if name in columns), None)
            if column is None or "step" not in columns:
                raise ScheduleError(
                    f"the header must have the columns step and lr (or factor), but got {list(columns)}",
                    where=str(file),
                    remedy="write a first line: step,lr",
                )
            rows = [_row(row, column, f"{file}:{reader.line_num}") for row in reader]
    except (OSError, ValueError, csv.Error, UsageError) as error:
        raise ScheduleError(f"cannot read the table: {error}", where=str(file), remedy="check the path") from None
    if not rows:
        raise ScheduleError("the table has no rows", where=str(file), remedy="write a row for each update: 0,0.1")
    for before, (step, _, place) in pairwise(rows):
        if step <= before[0]:
            raise ScheduleError(
                f"steps must increase, but {before[0]:g} is followed by {step:g}", where=place, remedy="sort the rows"
            )
    if rows[0][0] != 0:
        raise ScheduleError(
            f"the first step must be 0, but got {rows[0][0]:g}", where=rows[0][2], remedy="count updates from 0"
        )
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows]), column


def _row(row: dict[str, str], column: str, place: str) -> tuple[float, float, str]:
    numbers = []
    for name in ("step", column):
        text = row[name]
        try:
            number = float(text)
        except (TypeError, ValueError):
            number = math.nan
        if not (math.isfinite(number) and number >= 0):
            raise ScheduleError(
                f"{name} must be a finite number of at least 0, but got {text!r}",
                where=place,
                remedy="correct the row, or leave it out and write interpolate: true",
            )
        numbers.append(number)
    return numbers[0], numbers[1], place
