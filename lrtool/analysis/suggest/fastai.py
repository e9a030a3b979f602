"""What fastai's four methods share: its smoothing, its stopping rule and its cuts."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from pydantic import Field

from lrtool.analysis.smoothing import exponential
from lrtool.analysis.suggest.base import Array, SuggestionMethod, finite_length, stop_above_best


class FastaiMethod(SuggestionMethod):
    """A method on the curve that fastai's `lr_find` hands to its suggestion functions.

    The loss is an exponential mean with β = 0.98, bias-corrected; the test ends above 4 times its best;
    the first tenth of the *planned* points and the last 5 recorded ones are cut off. Such a mean lags by
    50 points, which on a ramp of 100 points over 8 decades is a factor of 10⁴ in LR: minima and slopes
    are seen well after they happened. After a NaN it goes on to record NaN, and cuts the curve at the first one
    after cutting the last 5, so that these are none of the finite ones; an infinite loss ends the test.

    Subclasses give `pick`. Source: fastai 2.7, `callback/schedule.py` and `learner.py`.
    """

    origin: ClassVar[str] = "fastai"

    beta: float = Field(0.98, ge=0, lt=1, description="Weight of the past in the smoothed loss.")
    diverge: float = Field(4.0, gt=1, description="The test ends above this many times the best loss.")
    skip_end: int = Field(5, ge=0, description="Points cut off at the end.")

    @abstractmethod
    def pick(self, lr: Array, losses: Array) -> float | None:
        """The suggestion function itself, on the cut and smoothed curve."""

    def curve(self, lr: Array, losses: Array) -> tuple[Array, Array]:
        """LRs and smoothed losses as `lr_find` hands them on."""
        smoothed = exponential(losses, self.beta)
        end = max(stop_above_best(smoothed, self.diverge) - self.skip_end, 0)
        kept = slice(len(lr) // 10, min(end, finite_length(smoothed)))
        return lr[kept], smoothed[kept]

    def one(self, lr: Array, losses: Array) -> float | None:
        """The suggestion; None where fastai fails because fewer than 2 points are left."""
        kept_lr, smoothed = self.curve(lr, losses)
        return self.pick(kept_lr, smoothed) if len(smoothed) > 1 else None
