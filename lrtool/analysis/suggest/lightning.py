"""Steepest descent as Lightning reads it."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from lrtool.analysis.suggest.base import Array, SuggestionMethod


class Lightning(SuggestionMethod):
    """The LR at which the smoothed loss falls most per unit of LR (not of log LR).

    a_t = β·a_{t−1} + (1−β)·y_t;  m_t = a_t/(1 − β^(t+2));  lr[argmin d m/d lr], first 10 and last point cut off

    After a NaN the callback goes on to record NaN, so that the point cut off at the end is none of the finite ones;
    an infinite loss is recorded and ends the test.

    Quirks. A slope per unit of LR is divided by LR steps that shrink towards small LRs: on an
    exponential ramp, noise there outweighs any true fall, and suggestions tend to be far too small. The
    bias correction counts one step too many, because the step counter has already moved when it is read:
    the curve starts at 1/(1+β) ≈ half the loss and climbs. The best loss that the stopping rule compares
    with starts at this halved value. With β = 0.98 the mean lags by 50 points. On a flat or rising curve
    there is still a smallest slope, so there is still an answer.

    Source: Lightning 2.6, `pytorch/tuner/lr_finder.py`, `_LRCallback` and `_LRFinder.suggestion`.
    """

    origin: ClassVar[str] = "Lightning"

    kind: Literal["lightning"] = "lightning"
    beta: float = Field(0.98, ge=0, lt=1, description="Weight of the past in the smoothed loss.")
    diverge: float = Field(4.0, gt=1, description="The test ends above this many times the best loss.")
    skip_begin: int = Field(10, ge=0, description="Points cut off at the start.")
    skip_end: int = Field(1, ge=1, description="Points cut off at the end.")

    def curve(self, losses: Array) -> Array:
        """The smoothed losses the callback records, NaN from the first NaN on."""
        out: list[float] = []
        average, best = 0.0, np.inf
        for t, loss in enumerate(losses.tolist()):
            average = self.beta * average + (1 - self.beta) * loss
            out.append(average / (1 - self.beta ** (t + 2)))
            if t > 0 and out[-1] > self.diverge * best:
                break
            best = out[-1] if t == 0 else min(best, out[-1])
        return np.array(out)

    def one(self, lr: Array, losses: Array) -> float | None:
        """The tuner's suggestion; None, as there, where fewer than 2 points are left."""
        recorded = self.curve(losses)
        kept = slice(self.skip_begin, max(len(recorded) - self.skip_end, 0))
        places = self.skip_begin + np.flatnonzero(np.isfinite(recorded[kept]))
        if len(places) < 2:
            return None
        return float(lr[places[int(np.argmin(np.gradient(recorded[places], lr[places])))]])
