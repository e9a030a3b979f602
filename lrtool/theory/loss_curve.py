"""Loss curves of finished runs, and what laws need to know of the learning rates behind them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Steps = NDArray[np.int64]

#: Laws describe a run after its start: losses before this part of its LRs has been used are left out.
_START = 0.03
#: Updates count as progress by their LR, but as this part of the peak at least.
_SLOWEST = 0.1
#: Losses kept of a run; more are averaged.
_POINTS = 200
#: Pieces of the run that changes of the LR are gathered into, at least.
_PIECES = 256
#: Pieces between two losses.
_BETWEEN = 2


@dataclass(frozen=True)
class LossCurve:
    """A run: the LR of every update, and the losses that were measured.

    `rates` (T,); `steps` (n,), ascending: `losses[i]` is that of the model after `steps[i]` updates. `warmup`: updates
    before the schedule proper, by which the laws' sums of changes begin.
    """

    name: str
    rates: Array
    steps: Steps
    losses: Array
    warmup: int = 0

    @cached_property
    def used(self) -> Array:
        """Sum of the LRs of the first t updates, t = 0 … T, (T + 1,)."""
        return np.concatenate([[0.0], np.cumsum(self.rates)])

    @property
    def falls(self) -> bool:
        """Whether the LR is ever lower than before, after the warm-up."""
        return bool((np.diff(self.rates[max(self.warmup - 1, 0) :]) < 0).any())

    def fitted(self) -> LossCurve:
        """The part that laws are fitted to: after warm-up and start, averaged where losses are many."""
        first = max(self.used[min(self.warmup, len(self.rates))], _START * self.used[-1])
        kept = (self.used[self.steps] >= first) & (self.steps > 0)
        steps, losses = self.steps[kept], self.losses[kept]
        if len(steps) > _POINTS:
            steps, losses = _averaged(steps, losses, np.log(progress(self.rates, steps)))
        return LossCurve(self.name, self.rates, steps, losses, self.warmup)


def progress(rates: Array, steps: Steps) -> Array:
    """How far a run has come after each of `steps` updates, (n,): the sum of LRs, each at least a tenth of the peak.

    By the LRs alone, the end of a decay to 0 would hardly count.
    """
    return np.concatenate([[0.0], np.cumsum(np.maximum(rates, _SLOWEST * rates.max()))])[steps]


def _averaged(steps: Steps, losses: Array, along: Array) -> tuple[Steps, Array]:
    """Means of losses that lie within equal parts of what they are `along`, at the mean of their steps."""
    edges = np.linspace(along[0], along[-1], _POINTS + 1)
    place = np.clip(np.searchsorted(edges, along, side="right") - 1, 0, _POINTS - 1)
    count = np.bincount(place, minlength=_POINTS)
    taken = count > 0
    mean = [np.bincount(place, values, _POINTS)[taken] / count[taken] for values in (steps, losses)]
    return mean[0].round().astype(np.int64), mean[1]


@dataclass(frozen=True)
class Changes:
    """Changes of the LR up to each of n moments, gathered into m pieces.

    `used` (n,): sum of the LRs up to the moment. `drop` (m,): how far the LR falls in a piece (below 0: rises); `rate`
    (m,): the LR it falls to. `since` (n, m): sum of the LRs from there to the moment; `updates` (n, m): how many. Both
    are 0 where the piece comes later.
    """

    used: Array
    drop: Array
    rate: Array
    since: Array
    updates: Array

    @classmethod
    def of(cls, rates: Array, warmup: int, steps: Steps, per: float = 1.0) -> Changes:
        """The changes of a curve of LRs after its warm-up, as they are seen after each of `steps` updates.

        `per`: updates that each rate stands for, where `warmup` and `steps` count rates.

        A piece never reaches across a moment, so all of it comes before or after; within it changes act as if at their
        mean, which is exact for a single step down. Falls and rises are gathered apart.
        """
        used = per * np.concatenate([[0.0], np.cumsum(rates)])
        start = min(max(warmup, 1), len(rates))
        drop = np.zeros(len(rates))
        drop[start:] = rates[start - 1 : -1] - rates[start:]
        edges = _edges(start, len(rates), steps)
        parts = [_gathered(sign * np.maximum(sign * drop, 0.0), rates, used, edges) for sign in (1, -1)]
        total, rate, at, place, end = (np.concatenate(each) for each in zip(*parts, strict=True))
        before = end[None, :] <= steps[:, None]
        since = np.where(before, np.maximum(used[steps][:, None] - at[None, :], 0.0), 0.0)
        updates = np.where(before, per * np.maximum(steps[:, None] - place[None, :], 0.0), 0.0)
        return cls(used[steps], total, rate, since, updates)


def _edges(start: int, end: int, steps: Steps) -> Steps:
    """Where pieces end: at every moment, and between."""
    moments = np.unique(np.clip(np.concatenate([[start], steps, [end]]), start, end))
    if len(moments) < 2:
        return moments
    within = max(_BETWEEN, -(-_PIECES // (len(moments) - 1)))
    parts = np.arange(within) / within
    between = moments[:-1, None] + np.diff(moments)[:, None] * parts[None, :]
    return np.unique(np.concatenate([between.ravel().round().astype(np.int64), moments]))


def _gathered(drop: Array, rates: Array, used: Array, edges: Steps) -> tuple[Array, ...]:
    """Sum of the changes in each piece, and the means, weighted by them, of LR, LRs used and step; and its end."""
    weighted = [drop, drop * rates, drop * used[:-1], drop * np.arange(len(drop))]
    sums = [np.diff(np.concatenate([[0.0], np.cumsum(each)])[edges]) for each in weighted]
    some = np.abs(sums[0]) > 1e-12 * max(float(np.abs(drop).max(initial=0.0)), 1e-300)
    total, *means = (each[some] for each in sums)
    return total, *(each / total for each in means), edges[1:][some].astype(np.float64)
