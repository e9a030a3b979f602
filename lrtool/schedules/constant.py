"""No schedule at all."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from lrtool.schedules.base import Level, Schedule, written
from lrtool.schedules.curve import Array


class Constant(Schedule):
    """The same LR at every update.

    factor(d) = level

    `level`: a part of the peak or an LR; 100% unless a segment should stay lower. Nothing degenerates.

    >>> Constant().bind(lr=0.1, steps=4)([0, 3, 4, 9])
    array([0.1, 0.1, 0.1, 0.1])
    >>> Constant(warmup=2).bind(lr=0.1, steps=4)([0, 1, 3])
    array([0.05, 0.1 , 0.1 ])

    Source: Robbins & Monro 1951 need a decay to converge; what a constant reaches is in arXiv:1907.04164.
    """

    helps: ClassVar[str] = "A baseline, range tests, and runs whose length is not known yet."
    hurts: ClassVar[str] = "The final loss: noise keeps the weights from settling, so nearly any decay ends lower."

    kind: Literal["constant"] = "constant"
    level: Level = Field(written("100%"), description="The value: an LR, or a percentage of the peak.")

    def factor(self, d: Array, length: int) -> Array:
        """The level, whatever the step."""
        return np.full_like(d, self.level)
