"""A user's table."""

from __future__ import annotations

import difflib
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lrtool.errors import TaskError, UsageError
from lrtool.tasks.base import Arrays, BuildContext, DataShape
from lrtool.tasks.datasets._files import find
from lrtool.tasks.datasets._table import Column, read_table
from lrtool.tasks.memory import InMemory, statistics

#: A column of whole numbers with at most this many values is taken for classes unless `task` says otherwise.
_MOST_CLASSES = 20


class Csv(InMemory):
    """A table with a header; one column is the target, the others (or those named) are features.

    Numeric features, and the target of a regression, are standardised with the training split's statistics; text
    features become one column per value (one-hot). A target of text, or of at most 20 different whole numbers, is
    a class; any other is a value. Classes are numbered in sorted order.
    """

    kind: Literal["csv"] = "csv"
    path: str = Field(description="The file, relative to the config.")
    target: str = Field(description="Name of the column to predict.")
    features: tuple[str, ...] | None = Field(None, min_length=1, description="Columns to use; all others if unsaid.")
    task: Literal["auto", "classification", "regression"] = Field("auto", description="What the target is.")
    delimiter: str = Field(",", min_length=1, max_length=1, description="What separates the columns.")
    max_categories: int = Field(32, ge=2, description="Most values that a text feature may have.")

    def arrays(self, context: BuildContext) -> tuple[Arrays, DataShape]:
        """Features (rows, columns) and target: classes (rows,) or values (rows, 1)."""
        table = read_table(find(self.path, context), self.delimiter)
        target = table.get(self.target) or self._missing(self.target, table, "data.target")
        names = self.features if self.features is not None else [name for name in table if name != self.target]
        if self.target in names:
            raise UsageError(
                f"the target {self.target!r} is also a feature", where="data.features", remedy="leave it out there"
            )
        columns = [table.get(name) or self._missing(name, table, "data.features") for name in names]
        if not columns:
            raise TaskError("the table has no column besides the target", where="data.path", remedy="add a feature")
        for column in (target, *columns):
            column.check_complete()
        inputs = np.concatenate([self._encoded(column) for column in columns], axis=1)
        if self._is_classification(target):
            labels, classes = target.classes()
            return Arrays((inputs,), labels), DataShape((inputs.shape[1],), len(classes), "class")
        return Arrays((inputs,), target.numbers()[:, None]), DataShape((inputs.shape[1],), 1, "value")

    def standardise(self, train: Arrays, val: Arrays | None) -> tuple[Arrays, Arrays | None]:
        """Features per column; the target too where it is a value."""
        mean, std = statistics(train.inputs[0])
        centre, scale = statistics(train.target) if train.target.ndim == 2 else (None, None)

        def scaled(part: Arrays) -> Arrays:
            target = part.target if centre is None else (part.target - centre) / scale
            return Arrays(((part.inputs[0] - mean) / std,), target)

        return scaled(train), scaled(val) if val is not None else None

    def _is_classification(self, target: Column) -> bool:
        if self.task != "auto":
            return self.task == "classification"
        if not target.is_numeric:
            return True
        values = np.unique(target.numbers())
        return len(values) <= _MOST_CLASSES and bool((values == np.round(values)).all())

    def _encoded(self, column: Column) -> NDArray[np.float64]:
        """Numbers as one column, text as one column per value."""
        if column.is_numeric:
            return column.numbers()[:, None]
        labels, values = column.classes()
        if len(values) > self.max_categories:
            raise UsageError(
                f"the text column {column.name!r} has {len(values)} different values, more than {self.max_categories}",
                where="data.features",
                remedy="name the columns to use under `features`, or raise `max_categories`",
            )
        return np.eye(len(values))[labels]

    def _missing(self, name: str, table: dict[str, Column], where: str) -> Column:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of: {', '.join(table)}"
        if all(_is_number(other) for other in table):
            hint = "the first line holds only numbers; it must name the columns"
        raise UsageError(f"{self.path} has no column {name!r}", where=where, remedy=hint)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
