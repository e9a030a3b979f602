"""What every suggestion method shares: a kind, its settings as fields, one LR for each seed's curve."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Suggestion:
    """What a method says about a range test: one LR over all seeds, and one for each seed alone.

    `lr` is None and entries of `per_seed`, shape (seeds,), are NaN where the method has no answer.
    """

    lr: float | None
    per_seed: Array


class SuggestionMethod(BaseModel, ABC):
    """A way to read a learning rate off a range test.

    Subclasses give `one`; a method that pools the seeds also gives `pooled`. Fields are the method's settings, as
    `range_test.suggest` takes them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, defer_build=True)

    #: Whose method it is, as tables name it.
    origin: ClassVar[str] = ""

    kind: str

    @abstractmethod
    def one(self, lr: Array, losses: Array) -> float | None:
        """The LR for one seed: `lr` and raw `losses` of shape (steps,), NaN after the test stopped."""

    def pooled(self, lr: Array, losses: Array, per_seed: Array) -> float | None:
        """The LR for all seeds, losses (seeds, steps): unless a method knows better, the geometric median."""
        known = per_seed[np.isfinite(per_seed) & (per_seed > 0)]
        return float(np.exp(np.median(np.log(known)))) if known.size else None

    def suggest(self, lr: Array, losses: Array) -> Suggestion:
        """The method's answer for `lr` (steps,) and raw `losses` (seeds, steps)."""
        answers = [self.one(lr, row) for row in losses]
        per_seed = np.array([np.nan if answer is None else answer for answer in answers])
        return Suggestion(self.pooled(lr, losses, per_seed), per_seed)


def finite_length(losses: Array) -> int:
    """Losses before the first non-finite one, shape (steps,)."""
    bad = np.flatnonzero(~np.isfinite(losses))
    return int(bad[0]) if bad.size else len(losses)


def stop_above_best(smoothed: Array, times: float, first: int = 0) -> int:
    """How many points a peer records: up to and with the first one above `times` its best, from index `first`.

    The rule all peers use. For a negative loss `times` the best lies *below* the best, so the test ends
    at once; for a loss near zero it ends on noise.
    """
    if not len(smoothed):
        return 0
    best = np.minimum.accumulate(smoothed)
    over = np.flatnonzero(smoothed[first:] > times * best[first:])
    return int(over[0]) + first + 1 if over.size else len(smoothed)
