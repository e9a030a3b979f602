"""Hyperbolic decay, whose early part does not depend on the length of the run."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from lrtool.errors import ScheduleError
from lrtool.schedules.base import Duration, Level, Schedule
from lrtool.schedules.curve import Array
from lrtool.schedules.shapes import above


class Hyperbolic(Schedule):
    """A branch of a hyperbola (HyperbolicLR).

    factor(d) = 1 − (1 − final)·(h(0) − h(d)),  h(d) = √((D − d)/U·(2 − (D + d)/U)),  d = 0 … D

    D: updates after warm-up; U = `upper_bound` ≥ D, by default D. With U = D it ends at `final`; a larger U,
    shared by runs of several lengths, makes their first parts alike, and shorter runs end higher. With D = 0
    the value is the peak.

    >>> Hyperbolic().bind(lr=1.0, steps=4)([0, 2, 4, 9]).round(4)
    array([1. , 0.5, 0. , 0. ])
    >>> Hyperbolic(upper_bound=8).bind(lr=1.0, steps=4)([0, 2, 4, 9]).round(4)
    array([1.   , 0.693, 0.134, 0.134])

    Source: Kim 2024, arXiv:2407.15200.
    """

    helps: ClassVar[str] = "Choosing hyperparameters in short runs that must carry over to longer ones."
    hurts: ClassVar[str] = "With a large upper bound it ends high, like every open-ended schedule."
    timescales = frozenset({"upper_bound"})

    kind: Literal["hyperbolic"] = "hyperbolic"
    upper_bound: Duration | None = Field(None, description="U: the longest run to compare with; default: this one.")
    final: Level = Field(0.0, description="Value at the end of the longest run: an LR, or a percentage of the peak.")

    def check(self, length: int) -> None:
        """The longest run is at least as long as this one."""
        if self.upper_bound is not None and self.upper_bound < length:
            raise ScheduleError(
                f"must be at least the {length} updates after warm-up, but got {self.upper_bound}",
                where="upper_bound",
                remedy=f"write {length} or more, or leave it out",
            )

    def factor(self, d: Array, length: int) -> Array:
        """One minus the drop along the hyperbola."""
        upper = max(self.upper_bound if self.upper_bound is not None else length, 1)
        first = math.sqrt(length / upper * (2 - length / upper))
        h = np.sqrt((length - d) / upper * (2 - (length + d) / upper))
        return above(self.final, (1 - first) + h)
