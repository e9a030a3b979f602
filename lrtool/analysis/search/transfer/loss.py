"""The loss to expect at a target, at its best LR."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.search.transfer.optima import Optima
from lrtool.analysis.search.transfer.points import Points

Array = NDArray[np.float64]

#: A parabola in a key needs so many values of it, and so many cells more than coefficients.
_LEVELS, _MORE = 4, 3
#: Standard deviation of what exponents may come to be beyond the measured range.
_DRIFT = 0.03


def expected_loss(points: Points, optima: Optima, logs: Array) -> tuple[float, float] | None:
    """The 95% interval of the least loss at log keys `logs`: a power law of them, or a parabola in their logs.

    None where losses are not above 0, cells are too few for a law, or a key was measured at one value only.
    """
    from scipy import special

    at, y = optima.at, optima.least
    keys = at.shape[1]
    unmoved = (np.ptp(at, axis=0) == 0) & ~np.isclose(logs, at[0])
    if not points.scale.logarithmic or len(y) < keys + 2 or unmoved.any():
        return None
    bent = [key for key in range(keys) if len(np.unique(np.round(at[:, key], 6))) >= _LEVELS]
    if len(y) < 1 + keys + len(bent) + _MORE:
        bent = []
    centre = at.mean(axis=0)

    def row(k: Array) -> Array:
        return np.concatenate([np.ones((*k.shape[:-1], 1)), k - centre, (k[..., bent] - centre[bent]) ** 2], axis=-1)

    matrix = row(at)
    found, _, rank, _ = np.linalg.lstsq(matrix, y, rcond=None)
    spare = len(y) - int(rank)
    if spare < 1:
        return None
    variance = max(float(np.square(y - matrix @ found).sum()) / spare, optima.noise**2)
    slope = row(logs)
    beyond = np.maximum(0, np.maximum(logs - at.max(axis=0), at.min(axis=0) - logs))
    spread = variance * (1 + slope @ np.linalg.pinv(matrix.T @ matrix) @ slope) + float(
        np.square(_DRIFT * beyond).sum()
    )
    middle, half = float(slope @ found), float(special.stdtrit(spare, 0.975)) * math.sqrt(spread)
    return (math.exp(middle - half), math.exp(middle + half)) if abs(middle) + half < 700 else None
