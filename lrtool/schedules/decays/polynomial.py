"""Straight lines and powers of what is left."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lrtool.schedules.base import Level, Schedule, written
from lrtool.schedules.curve import Array
from lrtool.schedules.rules import bounds
from lrtool.schedules.shapes import above, remaining


class Linear(Schedule):
    """A straight line from `start` to `final`.

    factor(d) = start·(1 − d/D) + final·d/D,  d = 0 … D

    D: updates after warm-up. `start`, `final`: parts of the peak; the line may rise. With D = 0 the value is
    `start`.

    >>> Linear().bind(lr=1.0, steps=4)([0, 1, 3, 4, 9])
    array([1.  , 0.75, 0.25, 0.  , 0.  ])

    Source: Defazio et al. 2023, arXiv:2310.07831.
    """

    helps: ClassVar[str] = "Runs of known length: a decay to zero is close to the best schedule theory knows."
    hurts: ClassVar[str] = "Runs that are extended later, since the LR is spent when the planned end is reached."

    kind: Literal["linear"] = "linear"
    start: Level = Field(written("100%"), description="Value at the first update: an LR, or a percentage of the peak.")
    final: Level = Field(0.0, description="Value at the end: an LR, or a percentage of the peak.")

    def factor(self, d: Array, length: int) -> Array:
        """Weights from both ends, so that each end is exact."""
        return self.start * remaining(d, length) + self.final * (d / max(length, 1))


class Polynomial(Schedule):
    """A power of the part of the run that is left.

    factor(d) = final + (1 − final)·(1 − d/D)^power,  d = 0 … D

    D: updates after warm-up. `power` 1 is a line, larger falls early, smaller falls late. With D = 0 the
    value is the peak.

    >>> Polynomial(power=2).bind(lr=1.0, steps=4)([0, 2, 3, 4, 9])
    array([1.    , 0.25  , 0.0625, 0.    , 0.    ])

    Source: Chen et al. 2017 (DeepLab), arXiv:1606.00915, "poly" policy.
    """

    helps: ClassVar[str] = "Segmentation recipes (power 0.9), and tuning how early the decay happens by one number."
    hurts: ClassVar[str] = "Large powers spend most of the run at an LR too small to learn from."

    kind: Literal["polynomial"] = "polynomial"
    power: Annotated[float, bounds(above=0, example=2)] = Field(2.0, description="Exponent of the part that is left.")
    final: Level = Field(0.0, description="Value at the end: an LR, or a percentage of the peak.")

    def factor(self, d: Array, length: int) -> Array:
        """A power of what is left."""
        return above(self.final, remaining(d, length) ** self.power)
