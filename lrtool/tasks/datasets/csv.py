"""A user's table as CSV."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lrtool.errors import UsageError
from lrtool.tasks.base import BuildContext
from lrtool.tasks.datasets._files import find
from lrtool.tasks.tables.columns import Column
from lrtool.tasks.tables.numbers import decimal_mark, without_unit
from lrtool.tasks.tables.table import TableData
from lrtool.tasks.tables.text import read_rows


class Csv(TableData):
    """A text table as the world writes it: what separates its columns, its header and its letters are found out.

    One column is the target, the others (or those named) are features. Numbers (also `$1,483.00`, `12%`, `3,5`) are
    standardised; dates become days and the time of year, week and day; words become a column each.
    """

    kind: Literal["csv"] = "csv"
    header: Literal["auto"] | bool = Field(
        "auto", description="Whether the first line names the columns; without one they are column_1, column_2 …"
    )
    delimiter: str = Field("auto", description="What separates the columns: one sign, or auto.")
    decimal: Literal["auto", ".", ","] = Field("auto", description="The decimal mark.")
    missing_words: tuple[str, ...] = Field(
        (),
        description="Further cells that say that a value is missing, besides empty ones, NA, nan, null and the like.",
    )
    encoding: str = Field("auto", min_length=1, description="Of the letters: utf-8, latin-1, cp1252, utf-16 …")

    def columns(self, context: BuildContext) -> tuple[dict[str, Column], list[str]]:
        """The columns by name, and what was found out about the file."""
        if self.delimiter != "auto" and len(self.delimiter) != 1:
            raise UsageError(
                f"a delimiter is one sign, but got {self.delimiter!r}",
                where="data.delimiter",
                remedy="write ';' or auto",
            )
        named = [name for name in (self.target, *(self.features or ()), self.split_by) if isinstance(name, str)]
        found = read_rows(
            find(self.path, context),
            None if self.delimiter == "auto" else self.delimiter,
            None if self.encoding == "auto" else self.encoding,
            None if self.header == "auto" else self.header,
            named,
        )
        notes = found.notes
        mark = self.decimal
        if mark == "auto":
            mark = decimal_mark(cell for row in found.rows for cell in row)
            notes += ["numbers have a decimal comma"] if mark == "," else []
        columns = {}
        for name, own in zip(found.names, zip(*found.rows, strict=True), strict=True):
            cells, unit = without_unit(own, mark)
            notes += [f"column {name!r} is in {unit}"] if unit else []
            columns[name] = Column(name, found.path, cells, found.lines, mark, frozenset(self.missing_words))
        return columns, notes
