"""fastai's `minimum`."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from lrtool.analysis.suggest.base import Array
from lrtool.analysis.suggest.fastai import FastaiMethod


class Minimum(FastaiMethod):
    """A tenth of the LR at which the smoothed loss is lowest.

    lr[argmin m]/10

    Quirks. The mean lags, so its minimum comes late; the tenth makes up for that by luck. The longer the
    ramp, the less it lags, and the smaller the answer. On a rising curve the lowest point is the first.

    Source: fastai 2.7, `callback/schedule.py`, `minimum`.
    """

    kind: Literal["minimum"] = "minimum"
    divide: float = Field(10.0, gt=0, description="What the LR of the minimum is divided by.")

    def pick(self, lr: Array, losses: Array) -> float | None:
        """The LR of the minimum, divided."""
        return float(lr[int(np.argmin(losses))]) / self.divide
