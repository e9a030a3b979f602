"""Measured points, (keys, LR, loss), and the cells that they were measured at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.comparable import CEILING, Scale

Array = NDArray[np.float64]

#: Values of a key that differ by no more than this part are one.
_SAME = 1e-6
#: Of fewer finite losses no best LR can be told.
FEWEST_LOSSES = 3


@dataclass(frozen=True)
class Cell:
    """All points with the same values of the keys.

    `at` (keys,): their logs; `x` (n,): log LRs, ascending; `y` (n,): mean loss over the seeds on the comparable scale,
    NaN where any of them diverged; `seeds` (n,): how many there are; `spread`: the variance between them, NaN if none.
    """

    at: Array
    x: Array
    y: Array
    seeds: Array
    spread: float

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where all seeds gave a loss."""
        return np.isfinite(self.y)

    @property
    def best(self) -> int:
        """The LR of the least loss; some loss must be finite."""
        return int(np.nanargmin(self.y))

    @property
    def at_edge(self) -> str | None:
        """At which end of its LRs the best one lies; a diverged one beside it closes an end."""
        if self.best == 0:
            return "low"
        return "high" if self.best == len(self.x) - 1 else None


@dataclass(frozen=True)
class Points:
    """Points as they were measured. `keys`: names; `values` (n, keys) above 0; `lr`, `loss` (n,), NaN if diverged.

    Points alike in keys and LR are seeds of each other.
    """

    keys: tuple[str, ...]
    values: Array
    lr: Array
    loss: Array

    @cached_property
    def moving(self) -> tuple[str, ...]:
        """The keys that have several values."""
        return tuple(key for key, column in zip(self.keys, self.values.T, strict=True) if len(levels(column)) > 1)

    def of(self, key: str) -> Array:
        """The values of a key, ascending."""
        return levels(self.values[:, self.keys.index(key)])

    def only(self, keys: tuple[str, ...]) -> Points:
        """The same, described by these keys alone."""
        return Points(keys, self.values[:, [self.keys.index(key) for key in keys]], self.lr, self.loss)

    @cached_property
    def scale(self) -> Scale:
        """The scale that losses are compared on: logarithms where all are above 0."""
        return Scale.of(self.loss[:, None])

    def cells(self) -> list[Cell]:
        """The points by cell, in the order of the keys; those without three finite losses are left out."""
        y = np.where(np.isfinite(self.loss), self.scale.unbounded(self.loss), np.nan)
        logs = np.round(np.log(self.values) / _SAME) * _SAME
        found = []
        for at in np.unique(logs, axis=0):
            here = np.flatnonzero((logs == at).all(axis=1))
            cell = _cell(at, np.log(self.lr[here]), y[here])
            if cell.known.sum() >= FEWEST_LOSSES:
                found.append(cell)
        return found


def levels(values: Array) -> Array:
    """Different values, ascending, whatever rounding they went through."""
    ordered = np.sort(values)
    return np.asarray(ordered[np.append(True, np.diff(np.log(ordered)) > _SAME)])


def _cell(at: Array, x: Array, y: Array) -> Cell:
    lrs = np.round(x / _SAME) * _SAME
    found = np.unique(lrs)
    groups = [y[lrs == lr] for lr in found]
    again = [group - group.mean() for group in groups if len(group) > 1 and np.isfinite(group).all()]
    spare = sum(len(group) - 1 for group in again)
    spread = float(sum(np.square(group).sum() for group in again)) / spare if spare else float("nan")
    means = np.array([group.mean() for group in groups])
    # Far above the best of its own cell a loss only says "bad"; other cells may all lie there.
    means = np.minimum(means, np.nanmin(means, initial=np.inf) + CEILING)
    return Cell(at, found, means, np.array([float(len(group)) for group in groups]), spread)
