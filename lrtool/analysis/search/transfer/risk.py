"""What not knowing the best LR is expected to cost, and the LR at which that is least."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.comparable import CEILING
from lrtool.analysis.search.transfer.optima import Optima

Array = NDArray[np.float64]

#: Where the best LR may lie, in standard deviations about the middle of its interval, and how far from that the chosen
#: one may.
_MAY, _CHOSEN = np.linspace(-3, 3, 61), np.linspace(-1.2, 1.2, 49)
#: Beyond so much (in log loss) the shape says nothing of the loss.
_MOST = 1.0


@dataclass(frozen=True)
class LeastRisk:
    """The LR with the least expected loss: log LR = middle of the interval + `shift`.

    Where larger LRs cost more than smaller ones that is below the middle. `risk`: by what part the loss is then
    expected to be above its least; None where losses are no ratios.
    """

    shift: float
    risk: float | None

    @classmethod
    def of(cls, optima: Optima, logs: Array, half: float, logarithmic: bool) -> Self:
        """At log keys, the log of the best LR being normal with a 95% interval of this `half` width.

        Beyond the measured range the basin is taken to be as narrow as at its end; one that narrowed towards there
        goes on to, as far again as was measured.
        """
        deviation, weights = half / 1.96, np.exp(-np.square(_MAY) / 2)
        u = deviation * (_CHOSEN[:, None] - _MAY)
        above = np.minimum(optima.shape.above(u, _curvature(optima, logs)), CEILING)
        cost = (np.expm1(above) if logarithmic else above) @ weights / weights.sum()
        least = int(cost.argmin())
        return cls(float(deviation * _CHOSEN[least]), float(cost[least]) if logarithmic else None)


def worst(optima: Optima, logs: Array, half: float, logarithmic: bool) -> float | None:
    """By what part the loss is above its least if LR and best LR lie at opposite ends; None where that says nothing."""
    above = float(optima.shape.above(np.array([-2 * half, 2 * half]), float(optima.shape.curvature(logs))).max())
    return math.expm1(above) if logarithmic and above < _MOST else None


def _curvature(optima: Optima, logs: Array) -> float:
    low, high = optima.at.min(axis=0), optima.at.max(axis=0)
    inside, as_far = np.clip(logs, low, high), np.clip(logs, 2 * low - high, 2 * high - low)
    return float(max(optima.shape.curvature(inside), optima.shape.curvature(as_far)))
