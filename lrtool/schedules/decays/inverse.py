"""Powers of elapsed time: decays that need no planned end."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from lrtool.schedules.base import Duration, Schedule, written
from lrtool.schedules.curve import Array
from lrtool.schedules.rules import bounds


class InverseTime(Schedule):
    """Divide by a number that grows with time.

    factor(d) = 1/(1 + k·d/s);  staircase: 1/(1 + k·⌊d/s⌋)

    d: updates since the end of warm-up; k = `rate` per s = `every` updates. `rate` 0: constant. `every: 0` is
    an error.

    >>> InverseTime(rate=1, every=2).bind(lr=1.0, steps=4)([0, 2, 4, 9]).round(4)
    array([1.    , 0.5   , 0.3333, 0.3333])

    Source: Robbins & Monro 1951; Bottou 2012, "Stochastic gradient descent tricks", section 5.2.
    """

    helps: ClassVar[str] = "Convex problems, where 1/t gives the optimal rate, and runs without a planned end."
    hurts: ClassVar[str] = "Deep networks: it falls early and then hardly moves."
    periods = frozenset({"every"})
    timescales = frozenset({"every"})

    kind: Literal["inverse_time"] = "inverse_time"
    rate: Annotated[float, bounds(least=0, example=1)] = Field(9.0, description="k: growth per `every`.")
    every: Duration = Field(written("100%"), description="Updates that `rate` counts: 1, '1ep', ….")
    staircase: bool = Field(False, description="Only change at whole multiples of `every`.")

    def factor(self, d: Array, length: int) -> Array:
        """One over a line."""
        periods = d / self.every
        return 1 / (1 + self.rate * (np.floor(periods) if self.staircase else periods))


class InverseSqrt(Schedule):
    """One over the square root of time, as transformers were first trained.

    factor(d) = √(τ/(τ + shift + d))

    d: updates since the end of warm-up; τ = `timescale`, by default the length of the warm-up, or 10,000
    updates without one. Warm-up ramps to the peak itself. With `shift: 1` it is the Noam schedule, up to its
    constant: update number n = t + 1 runs at min(n/W, √(W/n)).

    >>> InverseSqrt(warmup=4).bind(lr=1.0, steps=16)([0, 3, 4, 16]).round(4)
    array([0.25, 1.  , 1.  , 0.5 ])
    >>> InverseSqrt(warmup=4, shift=1).bind(lr=1.0, steps=16)([0, 3, 4, 15]).round(4)
    array([0.25  , 1.    , 0.8944, 0.5   ])

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 5.3; Zhai et al. 2022, arXiv:2106.04560 (timescale).
    """

    helps: ClassVar[str] = "Long runs of transformers without a planned end; add a short decay at the end."
    hurts: ClassVar[str] = "Ends at a high LR; at a fixed budget, cosine, linear or WSD reach a lower loss."
    periods = frozenset({"timescale"})
    timescales = frozenset({"timescale", "shift"})

    kind: Literal["inverse_sqrt"] = "inverse_sqrt"
    timescale: Duration | None = Field(None, description="Updates after which the decay sets in; default: the warm-up.")
    shift: Duration = Field(0, description="Updates by which the decay is ahead; 1 for Noam.")

    def factor(self, d: Array, length: int) -> Array:
        """One over a square root."""
        timescale = self.timescale if self.timescale is not None else self.warmup or 10_000
        out: Array = np.sqrt(timescale / (timescale + self.shift + d))
        return out

    def warmup_target(self, length: int) -> float:
        """The peak, also where a shift lets the decay start below it."""
        return 1.0


class Power(Schedule):
    """A power law of elapsed time.

    factor(d) = (1 + d/τ)^(−a)

    d: updates since the end of warm-up; τ = `timescale`, a = `exponent`. a = 1 is inverse time, a = ½ the
    inverse square root; a = 0 is constant. A timescale of 0 is an error.

    >>> Power(exponent=2, timescale=2).bind(lr=1.0, steps=4)([0, 2, 4, 9]).round(4)
    array([1.    , 0.25  , 0.1111, 0.1111])

    Source: Shen et al. 2024, arXiv:2408.13359 (exponent 0.51).
    """

    helps: ClassVar[str] = (
        "Language models whose number of tokens is not fixed: the LR depends on time, not on the end."
    )
    hurts: ClassVar[str] = "Without a final decay it leaves loss on the table, like all open-ended schedules."
    periods = frozenset({"timescale"})
    timescales = frozenset({"timescale"})

    kind: Literal["power"] = "power"
    exponent: Annotated[float, bounds(least=0, example=0.5)] = Field(0.51, description="a: how fast the LR falls.")
    timescale: Duration = Field(written("10%"), description="τ: updates after which the decay sets in.")

    def factor(self, d: Array, length: int) -> Array:
        """A power of one plus time."""
        out: Array = np.power(1 + d / self.timescale, -self.exponent)
        return out
