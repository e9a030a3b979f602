"""fastai's `slide`."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from lrtool.analysis.suggest.base import Array
from lrtool.analysis.suggest.fastai import FastaiMethod


class Slide(FastaiMethod):
    """The LR at the left end of a window slid leftwards until the gradients at its two ends agree.

    g = gradient(m); from the end of the curve, window [r − 15, r]: move left while |g_r − g_{r−15}| > 0.005

    Quirks. The threshold is an absolute loss difference per index, so the answer changes with the unit
    of the loss and the number of points. It starts at the end of the curve, so it depends on how far
    the explosion was recorded. The answer is the left end of the last window that *failed* the test; if
    the very first window passes, that window's. A curve shorter than 16 points makes the peer raise.

    Source: fastai 2.7, `callback/schedule.py`, `slide`.
    """

    kind: Literal["slide"] = "slide"
    width: int = Field(15, ge=1, description="Points between the two ends of the window.")
    threshold: float = Field(0.005, gt=0, description="Difference of gradients at which the window stops.")
    adjust: float = Field(1.0, gt=0, description="Factor on the answer.")

    def pick(self, lr: Array, losses: Array) -> float | None:
        """The left end of the last window whose ends disagree."""
        n = len(losses)
        if n < self.width + 1:
            return None
        slope = np.gradient(losses)
        agree = np.abs(slope[self.width :] - slope[: -self.width]) <= self.threshold
        stops = np.flatnonzero(agree)
        left = min(int(stops[-1]) + 1, n - self.width - 1) if stops.size else 0
        return float(lr[left]) * self.adjust
