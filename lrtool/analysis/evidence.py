"""What a range test shows beyond its noise: where the loss stands, falls and explodes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.noise import Noise
from lrtool.analysis.smoothing import local_line

Array = NDArray[np.float64]

#: Standard errors that a fall must have to count. Many places are looked at, hence not 2 (benchmarks/ramp_noise.py).
SIGNIFICANT = 3.5
#: Standard errors of a rise: it is measured from the lowest of many levels, which noise alone makes low.
_CLEAR_RISE = 5.0
#: Standard errors, over the seeds, by which the correlation counts as larger than measured where a fall is judged.
_CAUTION = 2.0
#: Spans of the level over which noise is told from trend.
_WIDER = 3
#: Part of the fall that the loss must climb back to count as exploded.
_CLIMBED = 0.75
#: Part of the fall (or of standard errors) that counts as having started to move.
_MOVED = 0.1
#: Most points that a local line is fitted to, so that long ramps stay cheap.
_WIDEST = 100
#: Differences of this part of the loss are rounding.
_ROUNDING = 1e-12
#: The median of |y − y′| of two independent normal values is this many standard deviations.
_MEDIAN_DIFFERENCE = 0.9539


@dataclass(frozen=True)
class Evidence:
    """A range test's curve over all seeds, on a scale of its own.

    `capped` (seeds, steps): losses cut off above `cap`, and at `cap` once a seed has stopped, so that an
    explosion to 10¹⁰ or NaN counts as "high", not as a number. `lasted` (seeds,): steps before a seed stopped.
    `level` (steps,): the mean over seeds, smoothed by a robust local line. `start`: the loss before any learning.
    `calm`: steps in which the noise shows.
    Everything is a level or a difference of levels: for a·loss + b the same LRs come out.
    """

    lr: Array
    capped: Array
    lasted: NDArray[np.int64]
    level: Array
    span: int
    start: float
    cap: float
    calm: int

    @cached_property
    def noise(self) -> Noise:
        """The noise of one loss, which need not be independent of the one before."""
        return Noise.of(self._calm_part, _WIDER * self.span)

    @cached_property
    def lowest(self) -> int:
        """Index of the lowest level."""
        return int(np.argmin(self.level))

    @cached_property
    def fall(self) -> float:
        """How far the level comes down from the start; 0 where it does not."""
        return max(self.start - float(self.level[self.lowest]), 0.0)

    @cached_property
    def error(self) -> float:
        """Standard error of the level: a local line weighs about 0.6 of its points."""
        return float(np.sqrt(self.noise.of_mean(0.6 * self.span) / len(self.capped)))

    @cached_property
    def exploded(self) -> int | None:
        """First index after the lowest level from which the level stays clearly above it, if any.

        level > lowest + max(0.75·fall, 5 standard errors), for `span` steps or until the end: a level is
        a mean over so many, so shorter excursions can be noise.
        """
        needed = self.level[self.lowest] + max(_CLIMBED * self.fall, _CLEAR_RISE * self.error)
        above = np.concatenate([self.level[self.lowest :] > needed, np.ones(self.span - 1, dtype=bool)])
        lasting = np.asarray(np.lib.stride_tricks.sliding_window_view(above, self.span).all(axis=1))
        # The padding lets a rise at the end count, but is no rise by itself.
        found = np.flatnonzero(lasting & above[: len(lasting)])
        return self.lowest + int(found[0]) if found.size else None

    @cached_property
    def fall_significance(self) -> float:
        """The largest fall in standard errors: of windows of several widths, against all that went before.

        z = max over j, w of (mean y₀…y_{j−w} − mean y_{j−w}…y_j) / error

        The error is the larger of what the noise along the curves and of what the seeds' own falls show, at this
        place and on average: noise that grows with the LR or that lasts for many steps shows in the seeds.
        """
        return max(self._fall_of(width) for width in {max(len(self.lr) // parts, 5) for parts in (4, 8, 16)})

    def _fall_of(self, width: int) -> float:
        """The largest fall in standard errors of windows of so many steps."""
        seeds, steps = self.capped.shape
        end = steps if self.exploded is None else self.exploded
        before = np.arange(max(steps // 10, 5), end - width + 1)
        if not before.size:
            return 0.0
        total = np.concatenate([np.zeros((seeds, 1)), np.cumsum(self.capped[:, :end], axis=1)], axis=1)
        fell = total[:, before] / before - (total[:, before + width] - total[:, before]) / width
        # The fewer seeds there are, the less they say about each other.
        variance = Noise.of(self._calm_part, _WIDER * self.span, _CAUTION / seeds).of_drop(before, width)
        variance = variance * self._louder(before, width)
        alive = self.lasted[:, None] >= before + width
        several = alive.sum(axis=0) > 1
        if several.any():
            differ = _variance(fell[:, several], alive[:, several])
            variance = np.maximum(variance, differ.mean())
            variance[several] = np.maximum(variance[several], differ)
        mean, error = fell.mean(axis=0), np.sqrt(variance / seeds)
        # Without any noise every fall counts, but rounding is none.
        sure = np.where(mean > _ROUNDING * np.abs(self.capped).max(), np.inf, 0.0)
        return float(np.max(np.divide(mean, error, out=sure, where=error > 0)))

    def _louder(self, before: NDArray[np.int64], width: int) -> Array:
        """How many times the noise's variance in the windows of `_fall_of` is that of the calm part, 1 at least.

        By differences of neighbours, of which the fall itself is a small part. Noise that grows with the LR is least
        where it is measured and most where the lowest window is looked for.
        """
        jumps = np.square(np.diff(self.capped, axis=1)).mean(axis=0)
        total = np.concatenate([[0.0], np.cumsum(jumps)])
        within = (total[before + width - 1] - total[before]) / (width - 1)
        usual = np.square(np.diff(self._calm_part, axis=1)).mean()
        return np.maximum(within / usual, 1.0) if usual > 0 else np.ones(len(before))

    @property
    def _calm_part(self) -> Array:
        """Losses of the calm steps, of the seeds that last so long, or of all if none does."""
        lasting = self.lasted >= self.calm
        return self.capped[lasting if lasting.any() else slice(None), : self.calm]

    @property
    def falls(self) -> bool:
        """Whether the loss falls by more than noise does."""
        return self.fall_significance >= SIGNIFICANT

    @cached_property
    def starts_to_fall(self) -> int:
        """First index from which the level stays below the start until its lowest point."""
        margin = max(_MOVED * self.fall, 2 * self.error)
        high = np.flatnonzero(self.level[: self.lowest + 1] >= self.start - margin)
        return min(int(high[-1]) + 1, self.lowest) if high.size else 0

    def limit(self, lag: int) -> float:
        """The LR that was in use `lag` steps before the explosion, or the last LR if there was none."""
        return float(self.lr[-1] if self.exploded is None else self.lr[max(self.exploded - lag, 0)])

    @cached_property
    def starts_to_explode(self) -> int | None:
        """Last index before the explosion at which the level is still at its lowest, if it exploded."""
        if self.exploded is None:
            return None
        margin = max(_MOVED * self.fall, 2 * self.error)
        low = np.flatnonzero(self.level[self.lowest : self.exploded] <= self.level[self.lowest] + margin)
        return self.lowest + int(low[-1]) if low.size else self.lowest


def _variance(values: Array, known: NDArray[np.bool_]) -> Array:
    """Variance of the known values of each column, at least two."""
    count = known.sum(axis=0)
    away = np.where(known, values - np.where(known, values, 0).sum(axis=0) / count, 0)
    return np.asarray((away**2).sum(axis=0) / (count - 1))


def gather(lr: Array, losses: Array) -> Evidence:
    """Put the seeds of a range test together: `lr` (steps,), `losses` (seeds, steps), NaN after a stop."""
    steps = losses.shape[1]
    span = min(max(steps // 8, 9), _WIDEST)
    first = max(steps // 10, 5)
    known = np.where(np.isfinite(losses), losses, np.inf)
    start = float(np.nanmean([_finite_median(row[:first]) for row in losses]))
    drop = max(start - _rough_lowest(known), 0.0)
    cap = start + max(0.5 * drop, 4 * _rough_noise(losses))
    capped = np.minimum(known, cap)
    mean = capped.mean(axis=0)
    level, _ = local_line(mean, span)
    lowest = int(np.argmin(level))
    calm = max(lowest + 1, steps // 4, 2 * first)
    return Evidence(lr, capped, np.isfinite(losses).sum(axis=1), level, span, start, cap, calm)


def _finite_median(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else np.nan


def _rough_lowest(known: Array) -> float:
    """Lowest level by running medians, at each step over the seeds that are still alive (`known`: inf once dead)."""
    alive = np.isfinite(known)
    medians = np.where(alive, _running_median(known, 7), 0.0).sum(axis=0)
    some = alive.any(axis=0)
    return float(_running_median(medians[some] / alive.sum(axis=0)[some], 5).min())


def _rough_noise(losses: Array) -> float:
    differences = np.abs(np.diff(losses, axis=1))
    return float(_finite_median(differences.ravel())) / _MEDIAN_DIFFERENCE


def _running_median(values: Array, width: int) -> Array:
    """Median of the `width` (odd) values around each along the last axis; fewer at the ends."""
    half = width // 2
    beside = np.full((*values.shape[:-1], half), np.nan)
    padded = np.concatenate([beside, values, beside], axis=-1)
    # Sorted, NaN come last; numpy's own nanmedian takes many times as long.
    ordered = np.sort(np.lib.stride_tricks.sliding_window_view(padded, width, axis=-1), axis=-1)
    count = (~np.isnan(ordered)).sum(axis=-1, keepdims=True)
    middles = [np.take_along_axis(ordered, middle, axis=-1)[..., 0] for middle in ((count - 1) // 2, count // 2)]
    return np.asarray((middles[0] + middles[1]) / 2)
