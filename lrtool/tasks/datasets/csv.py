"""A user's table as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from lrtool.errors import UsageError
from lrtool.reading import MEBI
from lrtool.tasks.base import BuildContext
from lrtool.tasks.datasets._files import find
from lrtool.tasks.tables.columns import Column
from lrtool.tasks.tables.numbers import Decimal, decimal_mark, without_unit
from lrtool.tasks.tables.table import TableData
from lrtool.tasks.tables.text import is_table, read_rows

#: Bytes of a file whose columns are looked for, so that a config can name them.
_LOOKED_THROUGH = 32 * MEBI


class Csv(TableData):
    """A text table as the world writes it: what separates its columns, its header and its letters are found out.

    One column is the target, the others (or those named) are features. Numbers (also `$1,483.00`, `12%`, `3,5`) are
    standardised; dates become days and the time of year, week and day; words become a column each.
    """

    endings: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".tab", ".data", ".dat")

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

    @classmethod
    def reads(cls, path: Path) -> bool:
        """Whether its name ends as those of tables do, or it is a text whose lines are rows of one."""
        return super().reads(path) or (path.suffix.lower() == ".txt" and path.is_file() and is_table(path))

    @classmethod
    def choices(cls, path: Path, named: str) -> Mapping[str, Sequence[str]]:
        """Its columns, as targets."""
        return {"target": read_rows(path).names} if path.stat().st_size <= _LOOKED_THROUGH else {}

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
        notes, columns, commas = found.notes, {}, False
        # Where the comma is the decimal mark, the columns are usually separated by semicolons.
        usual: Decimal = "," if found.delimiter == ";" else "."
        if self.decimal == "auto":
            usual = decimal_mark((cell for row in found.rows for cell in row), usual) or usual
        for name, own in zip(found.names, zip(*found.rows, strict=True), strict=True):
            mark = self.decimal if self.decimal != "auto" else decimal_mark(own, usual) or usual
            cells, unit = without_unit(own, mark)
            notes += [f"column {name!r} is in {unit}"] if unit else []
            columns[name] = Column(name, found.path, cells, found.lines, mark, frozenset(self.missing_words))
            commas = commas or (mark == "," and any("," in cell for cell in own) and columns[name].kind == "number")
        notes += ["numbers have a decimal comma"] if commas and self.decimal == "auto" else []
        return columns, notes
