"""Cosine annealing with warm restarts."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from lrtool.schedules.base import Duration, Level, Schedule, written
from lrtool.schedules.curve import Array
from lrtool.schedules.rules import bounds
from lrtool.schedules.shapes import cosine

#: A cycle that is so many times longer than one of an update is flat over any run; larger numbers would overflow.
_LONGEST = 1e18


class CosineRestarts(Schedule):
    """Half a cosine, again and again (SGDR).

    factor(d) = final + (p^n − final)·(1 + cos(π·x/T_n))/2,  x = d − (T_0 + … + T_{n−1}),  T_n = T_0·m^n

    d: updates since the end of warm-up; n: cycle, from 0; T_0 = `t_0`; m = `t_mult`; p = `peak_decay`. A cycle's
    peak is never below `final`. After `cycles` cycles the value stays at `final`. The run never ends on a
    restart: where a cycle ends with the run, `final` is held. In cycle n the update before a restart runs at
    x = T_n − 1; `reach_final` divides by T_n − 1 instead, so that this update runs at `final` itself.

    >>> CosineRestarts(t_0=2, t_mult=2).bind(lr=1.0, steps=6)([0, 1, 2, 4, 5, 6, 9]).round(3)
    array([1.   , 0.5  , 1.   , 0.5  , 0.146, 0.   , 0.   ])

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983.
    """

    helps: ClassVar[str] = "Anytime results and snapshot ensembles: every cycle ends at a usable model."
    hurts: ClassVar[str] = "The final loss at a fixed budget: each restart undoes part of what the decay gained."
    periods = frozenset({"t_0"})

    kind: Literal["cosine_restarts"] = "cosine_restarts"
    t_0: Duration = Field(written("25%"), description="Updates of the first cycle.")
    t_mult: Annotated[float, bounds(least=1, example=2)] = Field(1.0, description="Each cycle is this much longer.")
    final: Level = Field(0.0, description="Value at the end of each cycle: an LR, or a percentage of the peak.")
    peak_decay: Annotated[float, bounds(above=0, most=1, example=0.8)] = Field(
        1.0, description="Each cycle's peak is this part of the one before."
    )
    cycles: int | None = Field(None, ge=1, description="Stop restarting after so many cycles.")
    reach_final: bool = Field(False, description="Let the last update of each cycle run at `final` itself.")

    def factor(self, d: Array, length: int) -> Array:
        """The cosine of the cycle that d is in."""
        n, start, span = self._cycle(d, length)
        # Floored: with a fractional t_mult the last whole update of a cycle may lie less than 1 before its end.
        last = np.maximum(np.floor(span) - 1, 1) if self.reach_final else span
        left = np.maximum((last - (d - start)) / last, 0.0)
        peak = 1.0 if self.peak_decay == 1 else np.maximum(np.power(self.peak_decay, n), self.final)
        return self.final + (peak - self.final) * cosine(left)

    def _cycle(self, d: Array, length: int) -> tuple[Array, Array, Array]:
        """Number, start and span of the cycle of each d; a start at or past the end does not count."""
        if self.t_mult == 1:
            most = max(math.ceil(length / self.t_0), 1)
            n = np.minimum(np.floor(d / self.t_0), min(most, self.cycles or most) - 1)
            return n, n * self.t_0, np.array(float(self.t_0))
        times = min(self.t_mult, _LONGEST)
        most = math.ceil(math.log1p(length * (times - 1) / self.t_0) / math.log(times)) + 1
        growth = np.power(times, np.arange(float(min(most, self.cycles or most))))
        starts: Array = self.t_0 * (growth - 1) / (times - 1)
        starts = starts[: max(int(np.searchsorted(starts, length)), 1)]
        cycle = np.searchsorted(starts, d, side="right") - 1
        # Not starts[cycle], which `export` could not follow.
        start, span = (np.take_along_axis(values, cycle, 0) for values in (starts, self.t_0 * growth))
        return cycle.astype(np.float64), start, span
