"""A user's table as Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from lrtool.errors import TaskError, UsageError
from lrtool.memory import physical_memory
from lrtool.tasks.base import BuildContext
from lrtool.tasks.datasets._files import find
from lrtool.tasks.tables.columns import Column, as_cell
from lrtool.tasks.tables.table import TableData

#: Bytes that a cell takes at least, as a Python object in a list.
_PER_CELL = 32


class Parquet(TableData):
    """A Parquet file, understood as a CSV file is. Needs the package pyarrow (`pip install 'lrtool[parquet]'`)."""

    endings: ClassVar[tuple[str, ...]] = (".parquet", ".pq")

    kind: Literal["parquet"] = "parquet"

    @classmethod
    def choices(cls, path: Path, named: str) -> Mapping[str, Sequence[str]]:
        """Its columns, as targets."""
        from pyarrow import parquet

        return {"target": parquet.read_schema(path).names}

    def columns(self, context: BuildContext) -> tuple[dict[str, Column], list[str]]:
        """The columns by name; raises UsageError without pyarrow, TaskError where the file cannot be read."""
        path = find(self.path, context)
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise UsageError(
                "Parquet files need the package pyarrow", where="data.kind", remedy="pip install 'lrtool[parquet]'"
            ) from None
        try:
            _check_size(path, parquet.read_metadata(path))
            table = parquet.read_table(path)
        except (pyarrow.ArrowException, OSError) as error:
            what = str(error).splitlines()[0]
            raise TaskError(
                f"this is no Parquet file: {what}", where=str(path), remedy="give the path of a Parquet file"
            ) from None
        rows = list(range(1, table.num_rows + 1))
        found = {
            name: Column(name, path, [as_cell(value) for value in column.to_pylist()], rows)
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
        if not rows:
            raise TaskError(f"{path} holds no rows", where="data.path", remedy="give at least one row")
        return found, []


def _check_size(path: Path, about: Any) -> None:
    """Raise TaskError where a table has more cells than this machine's memory holds: a few bytes can say so many."""
    cells, room = about.num_rows * about.num_columns, physical_memory()
    if room is not None and cells * _PER_CELL > room:
        raise TaskError(
            f"its {cells:,} cells do not fit this machine's memory", where=str(path), remedy="give a part of the table"
        )
