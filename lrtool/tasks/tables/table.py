"""A data set that is a table: what CSV and Parquet files share."""

from __future__ import annotations

import difflib
import functools
import logging
from abc import abstractmethod
from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr

from lrtool.errors import TaskError, UsageError
from lrtool.tasks.base import Arrays, BuildContext, DataShape, Unit
from lrtool.tasks.memory import InMemory, check_finite, split
from lrtool.tasks.tables.columns import Column
from lrtool.tasks.tables.features import Missing, encode
from lrtool.tasks.tables.split import By, Index, latest, order_of, whole_groups

_LOG = logging.getLogger("lrtool")

#: A column of whole numbers with at most this many values is taken for classes unless `task` says otherwise.
_MOST_CLASSES = 20


class TableData(InMemory):
    """A table; one column is the target, the others (or those named) are features.

    Numbers are standardised with the training split's statistics; dates become days and the time of year, week and
    day; words become a column each (one-hot). A target of words, or of at most 20 different whole numbers, is a class;
    any other is a value. Classes are numbered in sorted order. Rows without a target are left out. What was found out
    and left out is said once.
    """

    path: str = Field(description="The file, relative to the config.")
    target: str | int = Field(
        description="The column to predict: its name, or its place (0 is the first, -1 the last)."
    )
    features: tuple[str | int, ...] | None = Field(
        None, min_length=1, description="Columns to use, by name or place; unsaid, all that can tell something."
    )
    task: Literal["auto", "classification", "regression"] = Field("auto", description="What the target is.")
    missing: Missing = Field(
        "mean",
        description="Missing values: the mean (among words, a word of their own); drop: leave out the row;"
        " category: also a column that says where numbers are missing.",
    )
    max_categories: int = Field(
        32, ge=2, description="Most words that a column is told apart by; the rarest become one."
    )
    split: By = Field("random", description="What is held out: rows at random, the latest in time, or whole groups.")
    split_by: str | int | None = Field(
        None, description="The column of times or groups; of times unsaid, rows are in order. It is no feature then."
    )

    _target_name: str = PrivateAttr("target")

    @abstractmethod
    def columns(self, context: BuildContext) -> tuple[dict[str, Column], list[str]]:
        """The columns by name, and what was found out about the file."""

    def arrays(self, context: BuildContext) -> tuple[Arrays, DataShape]:
        """Features (rows, columns), NaN where missing, and target: classes (rows,) or values (rows, 1)."""
        table, notes = self.columns(context)
        target = self._column(table, self.target, "data.target")
        by = self._column(table, self.split_by, "data.split_by") if self.split_by is not None else None
        columns = self._chosen(table, target, by)
        kept = self._complete(target, columns, notes)
        target, columns = target.rows(kept), [column.rows(kept) for column in columns]
        found = encode(columns, self.missing, self.max_categories, keep=self.features is not None)
        classes = target.classes() if self._is_classification(target) else None
        self._say([*notes, *found.notes, *_classes_said(target, classes[1] if classes else None)])
        if not found.values.shape[1]:
            raise TaskError(
                "no column besides the target tells anything", where="data.path", remedy="name some under `features`"
            )
        key = self._key(by.rows(kept) if by is not None else None, len(kept))
        shape = (found.values.shape[1],)
        self._target_name = target.name
        if classes is not None:
            return Arrays((found.values,), classes[0], key), DataShape(shape, len(classes[1]), "class")
        return Arrays((found.values,), target.numbers()[:, None], key), DataShape(shape, 1, "value")

    def check(self, arrays: Arrays) -> None:
        """Features may be missing; the target may not."""
        check_finite(arrays.target, "the targets")

    def parts(self, arrays: Arrays) -> tuple[Index, Index]:
        """Training and validation rows."""
        if self.split == "random" or arrays.key is None:
            return split(len(arrays), self.val_fraction, self.split_seed)
        if self.split == "time":
            return latest(arrays.key, self.val_fraction)
        return whole_groups(arrays.key.astype(np.int64), self.val_fraction, self.split_seed)

    def standardise(self, train: Arrays, val: Arrays | None) -> tuple[Arrays, Arrays | None]:
        """Features per column, the missing ones at the mean; the target too where it is a value."""
        mean, scale = _statistics(train.inputs[0])
        own = _statistics(train.target) if train.target.ndim == 2 else None

        def scaled(part: Arrays) -> Arrays:
            target = part.target if own is None else (part.target - own[0]) / own[1]
            return Arrays((np.nan_to_num((part.inputs[0] - mean) / scale),), target)

        return scaled(train), scaled(val) if val is not None else None

    def unit(self, train: Arrays) -> Unit | None:
        """That of a target of values."""
        if train.target.ndim != 2:
            return None
        return Unit(self._target_name, tuple(_statistics(train.target)[1].tolist()))

    def _chosen(self, table: dict[str, Column], target: Column, by: Column | None) -> list[Column]:
        if self.features is None:
            return [column for column in table.values() if column is not target and column is not by]
        columns = [self._column(table, name, "data.features") for name in self.features]
        if target in columns:
            raise UsageError(
                f"the target {target.name!r} is also a feature", where="data.features", remedy="leave it out there"
            )
        return columns

    def _complete(self, target: Column, columns: Sequence[Column], notes: list[str]) -> Index:
        """The rows that are trained with: those that have a target, and with `missing: drop` everything else."""
        lacking = target.missing.copy()
        if lacking.any():
            notes.append(f"{lacking.sum():,} rows without {target.name!r} are left out")
        if self.missing == "drop":
            some = np.logical_or.reduce([column.missing for column in columns]) & ~lacking
            if some.any():
                notes.append(f"{some.sum():,} rows with missing values are left out")
            lacking |= some
        kept = np.flatnonzero(~lacking)
        if not len(kept):
            raise TaskError("no row is left", where="data.path", remedy="write `missing: mean`, or fill in the target")
        return kept

    def _key(self, by: Column | None, rows: int) -> NDArray[np.float64] | None:
        """What the split goes by, (rows,)."""
        if self.split == "random":
            if by is not None:
                raise UsageError(
                    "a random split goes by no column", where="data.split_by", remedy="write `split: time` or `group`"
                )
            return None
        if self.split == "time":
            return order_of(by) if by is not None else np.arange(float(rows))
        if by is None:
            raise UsageError("which column names the groups is not said", where="data.split", remedy="add `split_by`")
        return by.classes()[0].astype(np.float64)

    def _is_classification(self, target: Column) -> bool:
        if self.task != "auto":
            return self.task == "classification"
        if target.kind != "number":
            return True
        values = np.unique(target.numbers())
        return len(values) <= _MOST_CLASSES and bool((values == np.round(values)).all())

    def _column(self, table: dict[str, Column], wanted: str | int, where: str) -> Column:
        """A column by its name, or by its place where no column is called so."""
        names = list(table)
        if str(wanted) in table:
            return table[str(wanted)]
        if isinstance(wanted, int) and -len(names) <= wanted < len(names):
            return table[names[wanted]]
        alike = {name.lower(): name for name in names}
        near = difflib.get_close_matches(str(wanted).lower(), alike, n=1)
        hint = f"choose one of: {_listed(names)}; or its place, -1 the last"
        if near:
            hint = f"did you mean {alike[near[0]]!r}?"
        if all(name == f"column_{number}" for number, name in enumerate(names, 1)):
            hint = (
                f"the first line holds values, not names, so columns are column_1 … column_{len(names)}; -1 is the last"
            )
        what = f"no column {wanted!r}" if isinstance(wanted, str) else f"{len(names)} columns, none at place {wanted}"
        raise UsageError(f"{self.path} has {what}", where=where, remedy=hint)

    def _say(self, notes: Collection[str]) -> None:
        if notes:
            _said(f"{self.path}: {'; '.join(notes)}")


@functools.cache
def _said(text: str) -> None:
    """Say it once in a process, however often the data are read."""
    _LOG.warning(text)


def _classes_said(target: Column, classes: Sequence[str] | None, most: int = 10) -> list[str]:
    """What the numbers of classes stand for, where that is not plain; TaskError where the target never changes."""
    if len(set(target.cells)) == 1 and len(target.cells) > 1:
        raise TaskError(
            f"the target {target.name!r} is always {target.cells[0]!r}, so there is nothing to learn",
            where="data.target", remedy="name another column",
        )  # fmt: skip
    if classes is None or list(classes) == [str(number) for number in range(len(classes))]:
        return []
    named = ", ".join(f"{name!r} is {number}" for number, name in enumerate(classes[:most]))
    return [f"{target.name!r} is a class: {named}{' …' if len(classes) > most else ''}"]


def _listed(names: Sequence[str], most: int = 20) -> str:
    more = f" … {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _statistics(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each column, missing values apart; one that never changes keeps a scale of 1."""
    given = np.isfinite(values)
    count = np.maximum(given.sum(axis=0), 1)
    mean = np.where(given, values, 0.0).sum(axis=0) / count
    scale = np.sqrt(np.where(given, (values - mean) ** 2, 0.0).sum(axis=0) / count)
    return mean, np.where(scale > 0, scale, 1.0)
