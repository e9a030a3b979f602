"""fastai's `steep`."""

from __future__ import annotations

from typing import Literal

import numpy as np

from lrtool.analysis.suggest.base import Array
from lrtool.analysis.suggest.fastai import FastaiMethod


class Steep(FastaiMethod):
    """The LR before the largest single fall per unit of log LR.

    lr[argmin (m_{t+1} − m_t)/(ln lr_{t+1} − ln lr_t)]

    Quirks. A forward difference of one step: it follows noise. On a flat or rising curve there is still
    a smallest slope, so there is still an answer.

    Source: fastai 2.7, `callback/schedule.py`, `steep`.
    """

    kind: Literal["steep"] = "steep"

    def pick(self, lr: Array, losses: Array) -> float | None:
        """The LR at the start of the steepest step."""
        return float(lr[int(np.argmin(np.diff(losses) / np.diff(np.log(lr))))])
