"""When the loss of a range test has exploded: a rule that knows no unit and no zero of the loss."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

#: The median of |y − y′| of two independent normal values is this many standard deviations.
_MEDIAN_DIFFERENCE = 0.9539
#: Weight of a new loss in the smoothed loss whose lowest value is the best level.
_WEIGHT = 0.1
#: Differences that the noise is estimated from.
_WINDOW = 128
#: Losses this near to the threshold, as a part of the levels it is made of, are looked at one by one.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class DivergenceRule:
    """How far above its best a loss must be, and for how long, to count as exploded.

    `factor` k: in units of the scale. `noise` c: standard deviations of noise that count as scale where
    the loss has not fallen. `patience` p: losses above the threshold, net of those below it.
    `warmup` n: losses before the first verdict (at least 2).
    """

    factor: float
    noise: float
    patience: int
    warmup: int = 10

    def __post_init__(self) -> None:
        for name, least in (("factor", 1), ("noise", 0), ("patience", 1), ("warmup", 2)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise ValueError(f"`{name} >= {least}` must hold, but got {value!r}")

    def monitor(self) -> DivergenceMonitor:
        """A watch over one loss."""
        return DivergenceMonitor(self)


#: Stops soon after the explosion: half as far above the starting level as the loss had come down.
RANGE_TEST = DivergenceRule(factor=1.5, noise=10.0, patience=5)


class DivergenceMonitor:
    """Watches a loss, chunk by chunk, for the step at which it has exploded; the rule knows no unit and no zero of it.

    A non-finite loss diverges at once. Otherwise, with y the losses and m their smoothed values,

        start = max(y₀, median(y₀ … yₙ₋₁))         level before anything was learned
        best  = min m                              over the steps so far
        σ     = median |y_t − y_{t−1}| / 0.954     noise, over the last 128 differences
        scale = max(start − best, c·σ)             what "far" means for this loss
        over  = y_t > best + k·scale               (never while the scale is 0)

    and the loss has diverged once steps that are `over` outnumber later ones that are not by p. Steps
    that are `over` change neither m nor σ. Every quantity is a level or a difference of levels, so the
    verdict is the same for a·y + b (a > 0, any b): losses may be negative or start near zero, where a
    factor times the best loss fails. A lone spike, a spike shorter than p, noise, and a rise from a
    low start to a plateau within k·c standard deviations do not count.

    The verdict depends on the losses only, never on how they are cut into chunks; a chunk costs time
    proportional to its length.

    >>> monitor = DivergenceMonitor(DivergenceRule(factor=1.5, noise=10, patience=2, warmup=4))
    >>> monitor.update([2.0, 1.9, 1.8, 1.7, 1.6]), monitor.update([1.5, 9.0]), monitor.update([9.0, 9.0])
    (None, None, 7)
    """

    reason = "the loss exploded"

    def __init__(self, rule: DivergenceRule = RANGE_TEST) -> None:
        self.rule = rule
        self.steps = 0
        self.diverged_at: int | None = None
        self._over = 0
        self._first: list[float] = []
        self._start = self._best = math.nan
        self._smoothed = _Smoothed()
        self._noise = _Noise()

    def update(self, losses: ArrayLike) -> int | None:
        """Take the next losses, shape (chunk,); the index of the step that settled it, or None so far.

        The index counts from the first loss ever given. Once diverged, later losses change nothing.
        """
        values = np.asarray(losses, dtype=np.float64).ravel()
        if self._calm(values):
            self._take(values)
            return None
        for loss in values.tolist():
            if self.diverged_at is not None:
                break
            if not math.isfinite(loss) or self._exploded(loss):
                self.diverged_at = self.steps
            self.steps += 1
        return self.diverged_at

    def finish(self) -> int | None:
        """As `Monitor.finish`: an end changes nothing here."""
        return self.diverged_at

    def _calm(self, values: Array) -> bool:
        """Whether none of these losses can be `over`, however small the noise: most chunks of most trainings.

        As m only falls and k is at least 1, best + k·scale is at least k·start − (k − 1)·best with today's best.
        """
        if self.diverged_at is not None or len(self._first) < self.rule.warmup or not self._smoothed.settled:
            return False
        if not len(values) or not math.isfinite(values.sum()):
            return False
        least = self.rule.factor * self._start - (self.rule.factor - 1) * self._best
        return bool(values.max() < least - _ROUNDING * (abs(self._start) + abs(self._best)) * self.rule.factor)

    def _take(self, values: Array) -> None:
        """What `_exploded` does for each of these, in less time."""
        self._over = max(self._over - len(values), 0)
        self._noise.extend(values)
        self._best = min(self._best, self._smoothed.lowest(values.tolist()))
        self.steps += len(values)

    def _exploded(self, loss: float) -> bool:
        if len(self._first) < self.rule.warmup:
            self._warm_up(loss)
            return False
        scale = max(self._start - self._best, self.rule.noise * self._noise.sigma)
        if scale > 0 and loss > self._best + self.rule.factor * scale:
            self._over += 1
            return self._over >= self.rule.patience
        self._over = max(self._over - 1, 0)
        self._noise.add(loss)
        self._best = min(self._best, self._smoothed.add(loss))
        return False

    def _warm_up(self, loss: float) -> None:
        self._first.append(loss)
        self._noise.add(loss)
        smoothed = self._smoothed.add(loss)
        if len(self._first) == self.rule.warmup:
            self._start = max(self._first[0], float(np.median(self._first)))
            self._best = min(self._start, smoothed)


class _Smoothed:
    """Exponential mean, started at the plain mean: weight max(0.1, 1/t)."""

    def __init__(self) -> None:
        self.count, self.value = 0, 0.0

    @property
    def settled(self) -> bool:
        """Whether the weight stays as it is."""
        return self.count >= 1 / _WEIGHT

    def add(self, loss: float) -> float:
        self.count += 1
        self.value += max(_WEIGHT, 1 / self.count) * (loss - self.value)
        return self.value

    def lowest(self, losses: list[float]) -> float:
        """Add all of them, once settled; the lowest value on the way."""
        value, lowest = self.value, math.inf
        for loss in losses:
            value += _WEIGHT * (loss - value)
            if value < lowest:
                lowest = value
        self.count, self.value = self.count + len(losses), value
        return lowest


class _Noise:
    """Standard deviation from the running median of absolute differences; these are sorted when it is asked for."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._recent: deque[float] = deque()
        self._sorted: list[float] | None = None

    def add(self, loss: float) -> None:
        if self._last is not None:
            difference = abs(loss - self._last)
            self._recent.append(difference)
            if self._sorted is not None:
                insort(self._sorted, difference)
            if len(self._recent) > _WINDOW:
                oldest = self._recent.popleft()
                if self._sorted is not None:
                    del self._sorted[bisect_left(self._sorted, oldest)]
        self._last = loss

    def extend(self, losses: Array) -> None:
        """Add all of them."""
        before = [] if self._last is None else [self._last]
        self._recent.extend(np.abs(np.diff(np.concatenate([before, losses])))[-_WINDOW:].tolist())
        while len(self._recent) > _WINDOW:
            self._recent.popleft()
        self._sorted, self._last = None, float(losses[-1])

    @property
    def sigma(self) -> float:
        """0 while there is no difference yet."""
        if self._sorted is None:
            self._sorted = sorted(self._recent)
        n = len(self._sorted)
        return (self._sorted[(n - 1) // 2] + self._sorted[n // 2]) / 2 / _MEDIAN_DIFFERENCE if n else 0.0
