"""Cosine annealing."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from pydantic import Field

from lrtool.schedules.base import Array, Level, Schedule


class Cosine(Schedule):
    """Half a cosine from the peak to `final`.

    factor(d) = final + (1 − final)·cos²(π·d/2D),  d = 0 … D;  cos²(x/2) = (1 + cos x)/2, exact near the end

    >>> Cosine(final=0.1).bind(lr=1.0, steps=4)([0, 2, 4, 9]).round(3)
    array([1.  , 0.55, 0.1 , 0.1 ])

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5.
    """

    kind: Literal["cosine"] = "cosine"
    final: Level = Field(0.0, description="Value at the end of the decay: an LR, or a percentage of the peak.")

    def factor(self, d: Array, length: int) -> Array:
        """Half a cosine."""
        return self.final + (1 - self.final) * np.cos(math.pi / 2 * d / max(length, 1)) ** 2
