"""Long curves as few of their own points: every value that is shown was measured, none is an average."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Rows that all curves of a page have together, and the least and the most of one curve.
_ROWS, _LEAST, _MOST = 40_000, 16, 4000


def rows_per_curve(curves: int) -> int:
    """How many points each of so many curves may keep, so that the file stays small.

    >>> rows_per_curve(1), rows_per_curve(360), rows_per_curve(10_000)
    (4000, 111, 16)
    """
    return int(np.clip(_ROWS // max(curves, 1), _LEAST, _MOST))


@functools.lru_cache(maxsize=1024)
def even(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` evenly spread places of `count`, first and last among them.

    >>> even(9, 3), even(2, 3)
    (array([0, 4, 8]), array([0, 1]))
    """
    if count <= most:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, most).round().astype(np.int64))


def telling(values: Array, most: int) -> NDArray[np.int64]:
    """At most `most` places that keep a curve's look: of each block its lowest and its highest value, and the ends.

    Not finite values count as lower than all, so that where a curve broke off stays in.

    >>> telling(np.array([0, 1, 9, 1, 0, -5, 0, 1.0]), 6)
    array([0, 2, 5, 7])
    """
    count = len(values)
    if count <= most:
        return np.arange(count)
    blocks = max((most - 2) // 2, 1)
    starts = np.arange(blocks) * count // blocks
    filled = np.where(np.isfinite(values), values, -np.inf)
    kept = [0, count - 1]
    for start, end in zip(starts, np.append(starts[1:], count), strict=True):
        block = filled[start:end]
        kept += [int(start + block.argmin()), int(start + block.argmax())]
    return np.unique(np.array(kept, dtype=np.int64))
