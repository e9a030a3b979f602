"""Cyclical learning rates."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from lrtool.schedules.base import Duration, Level, Schedule, written
from lrtool.schedules.curve import Array
from lrtool.schedules.rules import bounds

Momentum = Annotated[float, bounds(least=0, below=1, example=0.9)]


class Cyclical(Schedule):
    """Up and down between `base` and the peak.

    factor(d) = base + (1 − base)·h·a;  h = x/U for x ≤ U, (U + V − x)/V after;  x = d mod (U + V)

    d: updates since the end of warm-up; U = `step_size_up`, V = `step_size_down` (default U). The amplitude a
    is 1 (triangular), ½^n in cycle n = 0, 1, … (triangular2) or γ^d (exp_range). Momentum moves the other way:
    max_momentum − (max_momentum − base_momentum)·h·a. A size of 0 is an error.

    >>> Cyclical(step_size_up=2, base=0.0).bind(lr=1.0, steps=8)([0, 1, 2, 3, 4, 6, 8, 9])
    array([0. , 0.5, 1. , 0.5, 0. , 1. , 0. , 0. ])

    Source: Smith 2017, arXiv:1506.01186.
    """

    helps: ClassVar[str] = "Exploring a range of LRs in one run, and escaping poor regions early in training."
    hurts: ClassVar[str] = "The end of a run, unless the amplitude shrinks: it may stop anywhere in a cycle."
    periods = frozenset({"step_size_up", "step_size_down"})

    kind: Literal["cyclical"] = "cyclical"
    step_size_up: Duration = Field(written("10%"), description="Updates of the rise.")
    step_size_down: Duration | None = Field(None, description="Updates of the fall; default: as many as the rise.")
    base: Level = Field(written("10%"), description="Lower end of the cycle: an LR, or a percentage of the peak.")
    mode: Literal["triangular", "triangular2", "exp_range"] = Field(
        "triangular", description="How the amplitude shrinks: not at all, by half a cycle, by gamma an update."
    )
    gamma: Annotated[float, bounds(above=0, most=1, example=0.999)] = Field(
        1.0, description="Factor of the amplitude per update in exp_range."
    )
    cycle_momentum: bool = Field(True, description="Move momentum (or beta1) the other way.")
    base_momentum: Momentum = Field(0.8, description="Momentum where the LR is highest.")
    max_momentum: Momentum = Field(0.9, description="Momentum where the LR is lowest.")

    def factor(self, d: Array, length: int) -> Array:
        """A scaled triangle wave."""
        return self.base + (1 - self.base) * self._height(d)

    def momentum(self, d: Array, length: int) -> Array | None:
        """The wave upside down."""
        if not self.cycle_momentum:
            return None
        return self.max_momentum - (self.max_momentum - self.base_momentum) * self._height(d)

    def _height(self, d: Array) -> Array:
        down = self.step_size_up if self.step_size_down is None else self.step_size_down
        period = self.step_size_up + down
        n = np.floor(d / period)
        x = d - n * period
        height: Array = np.where(x <= self.step_size_up, x / self.step_size_up, (period - x) / down)
        if self.mode == "triangular2":
            height *= np.exp2(-n)
        elif self.mode == "exp_range" and self.gamma != 1:
            height *= np.power(self.gamma, d)
        return height
