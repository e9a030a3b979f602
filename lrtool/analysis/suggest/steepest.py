"""Steepest descent as torch-lr-finder reads it."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from lrtool.analysis.smoothing import exponential
from lrtool.analysis.suggest.base import Array, SuggestionMethod, finite_length, stop_above_best


class Steepest(SuggestionMethod):
    """The LR at which the smoothed loss falls most from one index to the next.

    m₀ = y₀, m_t = s·y_t + (1−s)·m_{t−1};  lr[argmin gradient(m)], with the first 10 and last 5 points cut off

    Quirks. The gradient is taken per index: with LRs that are not equally spaced in log LR the answer
    means something else, and it follows single noisy points. The mean starts at the first loss without
    a bias correction, so an unusual first batch bends the curve for 1/s = 20 points, and it lags by as
    many. On a flat or rising curve there is still a smallest gradient, so there is still an answer. The
    5 points are cut whether or not the loss exploded.

    Source: torch-lr-finder 0.2.2, `LRFinder.range_test` and `LRFinder.plot`.
    """

    origin: ClassVar[str] = "torch-lr-finder"

    kind: Literal["steepest"] = "steepest"
    smoothing: float = Field(0.05, gt=0, le=1, description="Weight s of a new loss.")
    diverge: float = Field(5.0, gt=1, description="The test ends above this many times the best loss.")
    skip_start: int = Field(10, ge=0, description="Points cut off at the start.")
    skip_end: int = Field(5, ge=0, description="Points cut off at the end.")

    def curve(self, losses: Array) -> Array:
        """The smoothed losses the finder records."""
        smoothed = exponential(losses[: finite_length(losses)], 1 - self.smoothing, correct_bias=False)
        return smoothed[: stop_above_best(smoothed, self.diverge)]

    def one(self, lr: Array, losses: Array) -> float | None:
        """The finder's suggestion; None where it raises because fewer than 2 points are left."""
        recorded = self.curve(losses)
        if len(recorded) < self.skip_start + self.skip_end + 2:
            return None
        kept = recorded[self.skip_start : len(recorded) - self.skip_end]
        return float(lr[self.skip_start + int(np.argmin(np.gradient(kept)))])
