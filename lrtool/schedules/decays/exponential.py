"""Exponential decay."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from lrtool.schedules.base import Duration, Level, Schedule, written
from lrtool.schedules.curve import Array
from lrtool.schedules.rules import bounds

#: Falls to this part of the peak over the run, where the user names no speed.
_DEFAULT_GAMMA = 0.01


class Exponential(Schedule):
    """The same factor for every update (or epoch).

    factor(d) = max(final, e^(−k·d))  or  max(final, γ^(d/s));  staircase: γ^⌊d/s⌋

    d: updates since the end of warm-up; k = `rate` per update; γ = `gamma` per s = `every` updates. With
    neither, γ = 0.01 over the whole run. `every: 0` is an error.

    >>> Exponential(gamma=0.5, every=2).bind(lr=1.0, steps=4)([0, 2, 3, 4, 9]).round(4)
    array([1.    , 0.5   , 0.3536, 0.25  , 0.25  ])
    >>> Exponential(rate=0.1).bind(lr=1.0, steps=4)([0, 3, 4]).round(4)
    array([1.    , 0.7408, 0.6703])

    Source: Senior et al. 2013, "An empirical study of learning rates in deep neural networks".
    """

    helps: ClassVar[str] = "Runs whose end is not planned: the shape does not depend on it when `rate` is given."
    hurts: ClassVar[str] = "Falls fastest at the start, where a high LR still pays; cosine or linear usually end lower."
    periods = frozenset({"every"})
    timescales = frozenset({"every"})

    kind: Literal["exponential"] = "exponential"
    gamma: Annotated[float, bounds(above=0, most=1, example=0.95)] | None = Field(
        None, description="Factor per `every`; 0.01 where neither it nor `rate` is given."
    )
    every: Duration = Field(written("100%"), description="Updates that `gamma` is the factor of: 1, '1ep', ….")
    rate: Annotated[float, bounds(least=0, example=0.001)] | None = Field(
        None, description="k in e^(−k·d), per update, instead of `gamma`."
    )
    staircase: bool = Field(False, description="Only change at whole multiples of `every`.")
    final: Level = Field(0.0, description="Lower bound: an LR, or a percentage of the peak.")

    @model_validator(mode="after")
    def _one_speed(self) -> Self:
        if self.rate is not None and (self.gamma is not None or self.staircase):
            raise ValueError("rate excludes gamma and staircase; write gamma and every, or rate alone")
        return self

    def factor(self, d: Array, length: int) -> Array:
        """A power of gamma, or e^(−k·d)."""
        if self.rate is not None:
            return np.maximum(np.exp(-self.rate * d), self.final)
        periods = d / self.every
        gamma = _DEFAULT_GAMMA if self.gamma is None else self.gamma
        return np.maximum(np.power(gamma, np.floor(periods) if self.staircase else periods), self.final)
