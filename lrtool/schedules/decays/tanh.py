"""Hyperbolic-tangent decay."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from lrtool.schedules.base import Level, Schedule
from lrtool.schedules.curve import Array


class Tanh(Schedule):
    """A sigmoid from nearly the peak to nearly `final` (HTD).

    factor(d) = final + (1 − final)·(1 − tanh(L + (U − L)·d/D))/2,  d = 0 … D

    D: updates after warm-up; L = `lower` < U = `upper`. It starts at (1 − tanh L)/2 of the way, a little below
    the peak, and ends at (1 − tanh U)/2 of it, a little above `final`. With D = 0 it stays at its start.

    >>> Tanh(lower=-2, upper=2).bind(lr=1.0, steps=4)([0, 2, 4, 9]).round(4)
    array([0.982, 0.5  , 0.018, 0.018])

    Source: Hsueh et al. 2018, arXiv:1806.01593.
    """

    helps: ClassVar[str] = "A long high phase with a smooth, adjustable drop; more gradual than steps."
    hurts: ClassVar[str] = "Two more numbers to choose; the end stays above `final` unless `upper` is large."

    kind: Literal["tanh"] = "tanh"
    lower: float = Field(-6.0, allow_inf_nan=False, description="L: where on the sigmoid the run starts.")
    upper: float = Field(3.0, allow_inf_nan=False, description="U: where on the sigmoid the run ends.")
    final: Level = Field(0.0, description="What the sigmoid approaches: an LR, or a percentage of the peak.")

    @model_validator(mode="after")
    def _order(self) -> Self:
        if not -300 <= self.lower < self.upper <= 300:
            raise ValueError(
                f"-300 <= lower < upper <= 300 must hold, but got lower {self.lower:g} and upper {self.upper:g};"
                " try lower: -6, upper: 3"
            )
        return self

    def factor(self, d: Array, length: int) -> Array:
        """(1 − tanh x)/2 written as 1/(1 + e^(2x)), which is precise where it is small."""
        x = self.lower + (self.upper - self.lower) * (d / max(length, 1))
        return self.final + (1 - self.final) / (1 + np.exp(2 * x))
