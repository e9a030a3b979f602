"""How far means over a noisy curve can be off where its noise is not independent from step to step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

#: Correlations that are told apart. Noise that lasts longer looks like a trend, and trends would be taken for it.
_CORRELATIONS = np.append(np.linspace(-0.5, 0.9, 57), [0.92, 0.94, 0.96])


@dataclass(frozen=True)
class Noise:
    """Noise of one loss: its `variance`, and its `correlation` ρ from one step to the next (the k-th next: ρᵏ)."""

    variance: float
    correlation: float

    @classmethod
    def of(cls, curves: Array, span: int, caution: float = 0.0) -> Self:
        """From curves with a trend, shape (seeds, steps), a few steps at least.

        What is left of the curves without their mean over seeds, and without a parabola through `span` steps around
        each loss, has a variance and a correlation of its own, both known for every ρ: what was measured is traced
        back to ρ, larger by so many standard errors as `caution` says, and that to the variance. Noise far slower
        than `span` steps is taken for trend.
        """
        seeds, steps = curves.shape
        width = max(5, min(span, steps // 2) // 2 * 2 + 1)
        own = curves - curves.mean(axis=0) if seeds > 1 else curves
        rest = np.array([np.convolve(row, _high_pass(width), "valid") for row in own])
        total, freedom = float(np.sum(rest**2)), rest.shape[1] * max(seeds - 1, 1)
        if not total > 0:
            return cls(0.0, 0.0)
        beside = float(np.sum(rest[:, 1:] * rest[:, :-1])) / total + caution / np.sqrt(freedom)
        variances, correlations = _passed(width)
        correlation = max(float(np.interp(beside, correlations, _CORRELATIONS)), 0.0)
        return cls(total / freedom / float(np.interp(correlation, _CORRELATIONS, variances)), correlation)

    def of_mean(self, steps: ArrayLike) -> Array:
        """Variance of the mean over n steps: σ²/n · ((1+ρ)/(1−ρ) − 2ρ(1−ρⁿ)/(n(1−ρ)²))."""
        n, rho = np.asarray(steps, dtype=np.float64), self.correlation
        far = (1 + rho) / (1 - rho) - 2 * rho * (1 - rho**n) / (n * (1 - rho) ** 2)
        return np.asarray(self.variance * far / n)

    def of_drop(self, before: ArrayLike, after: ArrayLike) -> Array:
        """Variance of the difference between the means over the steps before a place and over those after it."""
        b, a, rho = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64), self.correlation
        shared = self.variance * rho * (1 - rho**b) * (1 - rho**a) / (b * a * (1 - rho) ** 2)
        return np.asarray(self.of_mean(b) + self.of_mean(a) - 2 * shared)


def _high_pass(width: int) -> Array:
    """Weights of a loss less the level of a parabola fitted, with tricube weights, to `width` (odd) steps around it."""
    half = width // 2
    away = np.arange(-half, half + 1) / (half + 1)
    near = (1 - np.abs(away) ** 3) ** 3
    second, fourth = (near * away**2).sum(), (near * away**4).sum()
    level = near * (fourth - second * away**2)
    weights: Array = -level / level.sum()
    weights[half] += 1
    return weights


@lru_cache(maxsize=16)
def _passed(width: int) -> tuple[Array, Array]:
    """For each ρ: the variance that noise of variance 1 has after `_high_pass`, and its correlation then."""
    weights = _high_pass(width)
    products, lags = np.correlate(weights, weights, "full"), np.arange(1 - width, width)
    variance, beside = ((products * _CORRELATIONS[:, None] ** np.abs(lags + lag)).sum(axis=1) for lag in (0, 1))
    return variance, beside / variance
