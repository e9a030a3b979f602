"""Reflected exponential."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from lrtool.schedules.base import Level, Schedule
from lrtool.schedules.curve import Array
from lrtool.schedules.shapes import above, remaining


class Rex(Schedule):
    """Stays high, then falls ever faster.

    factor(d) = final + (1 − final)·z/(½ + ½·z),  z = 1 − d/D,  d = 0 … D

    D: updates after warm-up. With D = 0 the value is the peak.

    >>> Rex().bind(lr=1.0, steps=4)([0, 2, 4, 9]).round(4)
    array([1.    , 0.6667, 0.    , 0.    ])

    Source: Chen, Wolfe & Kyrillidis 2021, arXiv:2107.04197.
    """

    helps: ClassVar[str] = "Small budgets: it was found as the best on average when runs are short."
    hurts: ClassVar[str] = "Long runs, in which its fast end leaves little time at small LRs."

    kind: Literal["rex"] = "rex"
    final: Level = Field(0.0, description="Value at the end: an LR, or a percentage of the peak.")

    def factor(self, d: Array, length: int) -> Array:
        """A hyperbola mirrored in time."""
        left = remaining(d, length)
        return above(self.final, left / (0.5 + 0.5 * left))
