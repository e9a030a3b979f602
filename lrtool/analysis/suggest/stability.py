"""Our own method: a part of the LR at which training becomes unstable."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from lrtool.analysis.evidence import Evidence, gather
from lrtool.analysis.suggest.base import Array, SuggestionMethod

#: Fewest points of a ramp that a fall and a rise can be told apart on.
SHORTEST = 20
#: Steps that an instability needs to show in the loss.
LAG = 4


class Stability(SuggestionMethod):
    """An eighth of the LR at which the loss, averaged over seeds, explodes.

    lr(e − lag)/divide, where e is the step at which the robustly smoothed mean over seeds has climbed
    back three quarters of its fall

    Why the explosion. It is the sharpest feature of a range test: it is far larger than the noise, and
    it is where the LR passes the curvature's limit, which also bounds the LR of real training. Slopes
    and minima of the *loss* depend on how fast the ramp moves: each LR is tried for one step only.
    Instability needs some steps to show, during which the ramp moves on; `lag` takes them back, so that
    short and long ramps give the same answer.

    Why it is not misled: there is an answer only if the loss falls by more than 3.5 standard errors of
    the noise (flat and rising curves have none); one curve for all seeds, with explosions cut off and
    outliers weighed down, instead of single points' gradients.

    A loss that falls and never explodes is stable up to the last LR, which then stands for the limit:
    an answer on the safe side, given only if the loss had begun to fall at it.

    Why an eighth: the peak LR that is right for training lies below the limit by a factor that differs
    by task and schedule: more for constant LRs (about 10), less for cosine (about 7). On 17 small tasks
    (regression and classification; linear, plain, deep, convolutional and attention models; SGD and
    AdamW; ramps of 100 and 200 steps; 400 steps of training under constant, cosine and one-cycle, the
    best of 25 LRs known from 3 seeds) 8 had the lowest median and 90th percentile of regret, and chosen
    without the task it is judged on it did almost as well. Mixing in where the loss starts to fall, has
    fallen half-way or is lowest, or the ratio of the fall to the noise, was worse on tasks left out.
    """

    origin: ClassVar[str] = "lrtool"

    kind: Literal["stability"] = "stability"
    divide: float = Field(8.0, ge=1, description="What the LR of the explosion is divided by.")
    lag: int = Field(LAG, ge=0, description="Steps that an instability needs to show.")

    def one(self, lr: Array, losses: Array) -> float | None:
        """The answer from one seed alone."""
        return self.pooled(lr, losses[None], np.empty(0))

    def pooled(self, lr: Array, losses: Array, per_seed: Array) -> float | None:
        """The answer from the mean over seeds, or None where the curve supports none."""
        if np.isfinite(losses).sum(axis=1).max(initial=0) < SHORTEST:
            return None
        return self.of(gather(lr, losses))

    def of(self, evidence: Evidence) -> float | None:
        """The answer from evidence that has been gathered."""
        answer = evidence.limit(self.lag) / self.divide
        beyond_test = evidence.exploded is None and answer < evidence.lr[evidence.starts_to_fall]
        return answer if evidence.falls and not beyond_test else None
