"""Which rows of a table are held out: at random, the latest, or whole groups."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lrtool.errors import UsageError
from lrtool.tasks.memory import validation_size
from lrtool.tasks.tables.columns import Column

Index = NDArray[np.int64]
By = Literal["random", "time", "group"]


def order_of(column: Column) -> NDArray[np.float64]:
    """What rows are sorted by: a column's numbers or dates; UsageError where it has neither, or a value is missing."""
    if column.kind == "word" or column.missing.any():
        what = "holds words" if column.kind == "word" else "has missing values"
        raise UsageError(
            f"rows cannot be put in order by {column.name!r}, which {what}",
            where="data.split_by",
            remedy="name a column of numbers or dates, or leave it out to take the rows as they stand",
        )
    if column.kind == "number":
        return column.numbers()
    return np.array([date.timestamp() if date is not None else 0.0 for date in column.dates()])


def latest(order: NDArray[np.float64], val_fraction: float) -> tuple[Index, Index]:
    """Training and validation rows: the last `val_fraction` of them in this order is held out."""
    ordered = np.argsort(order, kind="stable")
    held_out = validation_size(len(order), val_fraction)
    cut = len(order) - held_out
    return np.sort(ordered[:cut]), np.sort(ordered[cut:])


def whole_groups(groups: Index, val_fraction: float, seed: int) -> tuple[Index, Index]:
    """Training and validation rows: groups at random, until `val_fraction` of the rows is held out; none is torn."""
    count = int(groups.max()) + 1
    if val_fraction and count < 2:
        raise UsageError(
            "all rows are of one group", where="data.split_by", remedy="name another column, or write `split: random`"
        )
    sizes = np.bincount(groups, minlength=count)
    shuffled = np.random.Generator(np.random.Philox(key=seed)).permutation(count)
    wanted = validation_size(len(groups), val_fraction)
    before = np.concatenate([[0], np.cumsum(sizes[shuffled])[:-1]])
    taken = shuffled[(before < wanted) & (np.arange(count) < count - 1)]
    held_out = np.isin(groups, taken)
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)
