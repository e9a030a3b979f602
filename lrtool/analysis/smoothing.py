"""Smooth curves from noisy losses: the peers' exponential mean, and a robust local regression."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

#: Robust standard deviations at which a residual loses all weight (Tukey's bisquare: 6 median deviations).
_OUTLIER = 6.0


def exponential(losses: ArrayLike, beta: float, correct_bias: bool = True) -> Array:
    """Exponential mean along the last axis; NaN from the first NaN on.

    m_t = β·m_{t−1} + (1−β)·y_t with m₋₁ = 0, divided by 1 − β^(t+1). Without the correction, the mean
    starts at y₀ instead (m₀ = y₀), which gives the first loss more weight than any other.
    """
    if not 0 <= beta < 1:
        raise ValueError(f"`0 <= beta < 1` must hold, but got {beta=}")
    y = np.asarray(losses, dtype=np.float64)
    out = np.empty_like(y)
    mean = np.zeros(y.shape[:-1])
    for t in range(y.shape[-1]):
        mean = y[..., t] if t == 0 and not correct_bias else beta * mean + (1 - beta) * y[..., t]
        out[..., t] = mean / (1 - beta ** (t + 1)) if correct_bias else mean
    return out


def local_line(values: ArrayLike, span: int, robust: int = 2) -> tuple[Array, Array]:
    """Level and slope of a line fitted around every point of one curve: (level, slope per index).

    Weighted least squares over the `span` nearest points with tricube weights, repeated `robust` times
    with bisquare weights from the residuals, so that single outliers do not count. Centred, hence
    without the lag of an exponential mean; near the ends the window stays inside the curve. Non-finite
    values get level and slope NaN and no weight. The slope is 0 where fewer than two points have weight.

    Source: Cleveland 1979, "Robust locally weighted regression and smoothing scatterplots".
    """
    y = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(y)
    level, slope = np.full(y.shape, np.nan), np.full(y.shape, np.nan)
    if finite.any():
        level[finite], slope[finite] = _fit(np.flatnonzero(finite).astype(np.float64), y[finite], span, robust)
    return level, slope


def _fit(x: Array, y: Array, span: int, robust: int) -> tuple[Array, Array]:
    n = len(y)
    width = min(max(span, 2), n)
    first = np.clip(np.arange(n) - width // 2, 0, n - width)
    window = first[:, None] + np.arange(width)
    distance = x[window] - x[:, None]
    reach = np.abs(distance).max(axis=1, keepdims=True) + 1
    near = (1 - (np.abs(distance) / reach) ** 3) ** 3
    level, slope = _lines(distance, y[window], near)
    for _ in range(robust):
        residual = np.abs(y - level)
        scale = _OUTLIER * np.median(residual)
        if scale <= 0:
            break
        trust = np.clip(1 - (residual / scale) ** 2, 0, None) ** 2
        level, slope = _lines(distance, y[window], near * np.maximum(trust, 1e-6)[window])
    return level, slope


def _lines(distance: Array, y: Array, weight: Array) -> tuple[Array, Array]:
    """Weighted least-squares lines, one a row: value and slope at distance 0."""
    total = weight.sum(axis=1)
    centre = (weight * distance).sum(axis=1) / total
    mean = (weight * y).sum(axis=1) / total
    away = distance - centre[:, None]
    spread = (weight * away**2).sum(axis=1)
    slope = (weight * away * (y - mean[:, None])).sum(axis=1) / np.where(spread > 0, spread, 1)
    return mean - slope * centre, slope
