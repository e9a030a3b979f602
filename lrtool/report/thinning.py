"""Long curves as few points: what a figure or a terminal line can show of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Thinned:
    """A curve in blocks, each (blocks,): middle x, mean, lowest and highest y; NaN where a block has no finite y."""

    x: Array
    mean: Array
    low: Array
    high: Array


def thin(x: ArrayLike, y: ArrayLike, blocks: int) -> Thinned:
    """At most `blocks` blocks of consecutive points of a curve, non-finite values left out.

    With no more points than blocks every point is a block of its own.
    """
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    count = min(len(ys), blocks)
    if not count:
        return Thinned(*(np.empty(0) for _ in range(4)))
    starts = np.arange(count) * len(ys) // count
    sizes = np.diff(np.append(starts, len(ys)))
    known = np.isfinite(ys)
    number = np.add.reduceat(known, starts, dtype=np.int64)
    none = number == 0

    def reduced(operation: np.ufunc, filler: float) -> Array:
        out = operation.reduceat(np.where(known, ys, filler), starts)
        return np.where(none, np.nan, out)

    with np.errstate(over="ignore"):
        mean = reduced(np.add, 0.0) / np.maximum(number, 1)
    return Thinned(np.add.reduceat(xs, starts) / sizes, mean, reduced(np.minimum, np.inf), reduced(np.maximum, -np.inf))


def running_mean(values: Array, width: int, level_end: bool = False) -> Array:
    """The mean of the `width` values around each, fewer at the ends, NaN left out; NaN stays NaN.

    Centred, so it has no lag. The window shrinks evenly on both sides near the ends; `level_end`: at the end only on
    the right, for a curve that is level there, whose last value alone says little.
    """
    known = np.isfinite(values)
    half = min(width // 2, (len(values) - 1) // 2)
    out = np.where(known, values, np.nan)
    if half < 1:
        return out
    filled, kernel = np.where(known, values, 0.0), np.ones(2 * half + 1)
    total = np.convolve(filled, kernel, mode="same")
    number = np.convolve(known.astype(np.float64), kernel, mode="same")
    smooth = total / np.maximum(number, 1)
    ends = range(half) if level_end else (*range(half), *range(len(values) - half, len(values)))
    for index in ends:
        reach = min(index, len(values) - 1 - index)
        window = slice(index - reach, index + reach + 1)
        smooth[index] = filled[window].sum() / max(known[window].sum(), 1)
    return np.where(known, smooth, np.nan)
