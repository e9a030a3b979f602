"""A curve in one line of text."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lrtool.report.thinning import thin

BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(
    values: ArrayLike, width: int = 24, *, log: bool = False, low: float | None = None, high: float | None = None
) -> str:
    """Values as block characters, at most `width`, neighbours averaged; a space where nothing is known.

    The lowest and highest values set the scale unless `low` or `high` do. With `log`, values up to 0 are
    unknown. A constant is a line at middle height unless `low` or `high` place it. +inf is drawn at the top.

    >>> sparkline([1, 2, 3, 4], low=0)
    '▃▅▆█'
    >>> sparkline([5, 5, 5]), sparkline([0, float("nan"), 1]), sparkline([])
    ('▄▄▄', '▁ █', '')
    """
    y = np.asarray(values, dtype=np.float64).reshape(-1)
    if log:
        y = np.log10(y, out=np.full_like(y, np.nan), where=y > 0)
        low, high = (None if bound is None or bound <= 0 else float(np.log10(bound)) for bound in (low, high))
    mean = thin(np.arange(len(y)), y, width).mean
    endless = thin(np.arange(len(y)), np.where(y == np.inf, 1.0, np.nan), width).mean
    known = np.isfinite(mean)
    bottom = low if low is not None else float(mean[known].min()) if known.any() else 0.0
    top = high if high is not None else float(mean[known].max()) if known.any() else 0.0
    if not top > bottom:
        level = np.full(mean.shape, 3.0)
    else:
        level = np.clip((mean - bottom) / (top - bottom), 0, 1) * (len(BLOCKS) - 1)
    level = np.where(known, level, np.where(np.isfinite(endless), len(BLOCKS) - 1, np.nan))
    return "".join(" " if np.isnan(each) else BLOCKS[round(float(each))] for each in level)
