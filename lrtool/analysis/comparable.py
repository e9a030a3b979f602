"""Losses of trials on the scale they are compared on, and their means over seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Losses are compared on a log scale; beyond this much above the best they only say "bad".
CEILING = float(np.log(4.0))
#: The variance of one LR's seeds counts as it is with many seeds; with few it is drawn to that of all LRs, which counts
#: as so many more.
_SHARED = 4
#: No mean is taken to be more exact than this part: seeds that agree to more say little of other seeds.
_LEAST_ERROR = 3e-4


#: So that nothing divided by a span overflows.
_LEAST_SPAN = 1e-150
#: Losses that are closer than this part of all differences are the same but for rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Scale:
    """The comparable scale: y = ln(loss) where all are positive, else (loss − `best`)·ln 4/`span`."""

    logarithmic: bool
    best: float = 0.0
    span: float = CEILING

    @classmethod
    def of(cls, losses: Array) -> Scale:
        """The scale of these losses; some of them must be finite."""
        good = losses[np.isfinite(losses)]
        if (good > 0).all():
            return cls(True)
        best = _best(losses)
        # Where most seeds agree with the best, if not to the last digit, what the others differ by is the scale.
        gap, whole = float(np.median(good) - best), float(good.max() - best)
        gap = (gap if gap > _ROUNDING * whole else whole) or 1.0
        return cls(False, best, max(2.0 * gap, _LEAST_SPAN))

    def to(self, losses: Array) -> Array:
        """Losses on the scale, "bad" being the ceiling instead of infinity."""
        y = self.unbounded(losses)
        return np.minimum(y, _best(y) + CEILING)

    def unbounded(self, losses: Array) -> Array:
        """Losses on the scale, infinite where one is not finite."""
        known = np.isfinite(losses)
        filled = np.where(known, losses, 1.0)
        y = np.log(filled) if self.logarithmic else (filled - self.best) * (CEILING / self.span)
        return np.where(known, y, np.inf)

    def back(self, y: Array) -> Array:
        """Losses of values on the scale."""
        values: Array = np.exp(y) if self.logarithmic else self.best + y * (self.span / CEILING)
        return values

    def mean(self, y: Array) -> tuple[Array, Array]:
        """The mean loss of each row, on the scale, and the variance of one of the row's losses about it."""
        if not self.logarithmic:
            return y.mean(axis=1), _variance(y)
        # The mean of losses, not of their logarithms: a seed that is stuck costs what it costs.
        least = y.min()
        relative = np.exp(y - least)
        mean = relative.mean(axis=1)
        return np.log(mean) + least, _variance(relative) / mean**2


@dataclass(frozen=True)
class Means:
    """Mean losses at ascending log LRs `x`, on the comparable scale, with standard errors; all (n,).

    `spare`: degrees of freedom of the errors; 0 with a single seed, whose noise is unknown (its errors are 0).
    `lost` (n,): of `seeds`, how many diverged at each LR.
    """

    x: Array
    mean: Array
    error: Array
    spare: int
    lost: Array
    seeds: int

    @property
    def least(self) -> float:
        """The least loss that the measurements bear: the lowest mean less its standard error."""
        return float((self.mean - self.error).min())


def means(x: Array, losses: Array, scale: Scale) -> Means:
    """Each LR's mean over the seeds, their common offsets taken out. losses: (n, seeds), NaN or inf where diverged."""
    lost, seeds = (~np.isfinite(losses)).sum(axis=1), losses.shape[1]
    mean, variance = scale.mean(_without_seed_offsets(scale.to(losses), scale))
    if seeds < 2:
        return Means(x, mean, np.zeros(len(x)), 0, lost, seeds)
    near = better_half(mean)
    shared = (_SHARED * float(variance[near].mean()) + (seeds - 1) * variance) / (_SHARED + seeds - 1)
    error = np.maximum(np.sqrt(shared / seeds), _LEAST_ERROR)
    return Means(x, mean, error, max(1, (seeds - 1) * (int(near.sum()) - 1)), lost, seeds)


def better_half(mean: Array) -> NDArray[np.bool_]:
    """The rows whose mean is no worse than the median's: where the loss is good, seeds differ by an offset."""
    return np.asarray(mean <= np.quantile(mean, 0.5))


def _variance(y: Array) -> Array:
    return y.var(axis=1, ddof=1) if y.shape[1] > 1 else np.zeros(len(y))


def _best(y: Array) -> float:
    rows = np.where(np.isfinite(y), y, np.inf).mean(axis=1)
    return float(rows.min()) if np.isfinite(rows).any() else float(y[np.isfinite(y)].min())


def _without_seed_offsets(y: Array, scale: Scale) -> Array:
    """Take out what a seed adds at every LR; the mean loss stays as it is."""
    near = better_half(y.mean(axis=1))
    offsets = np.median(y[near] - y[near].mean(axis=1, keepdims=True), axis=0)
    shifted: Array = y - (offsets - scale.mean(offsets[None])[0])
    return shifted
