"""One rise and one fall over the whole run."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from lrtool.errors import ScheduleError
from lrtool.schedules.base import Duration, Level, Schedule, written
from lrtool.schedules.curve import Array
from lrtool.schedules.cyclical import Momentum
from lrtool.schedules.rules import bounds
from lrtool.schedules.shapes import DECAYS, above, remaining


class OneCycle(Schedule):
    """Rise from `start` to the peak, then fall to `final`, in two phases or three.

    factor(d) = b + (a − b)·s(x) in a phase from a to b,  s(x) = (1 + cos πx)/2 or 1 − x,  x = 0 … 1

    Two phases: start → 1 over R updates, 1 → final over D − R. Three: start → 1 over R, 1 → start over R,
    start → final over D − 2R. D: updates after warm-up, R = `rise`. Momentum moves the other way, from
    `max_momentum` to `base_momentum` and back (and stays there in a third phase). R = 0 starts at the peak; in two
    phases, R = D ends there.

    >>> OneCycle(rise=2, start=0.2, final=0.0).bind(lr=1.0, steps=6)([0, 1, 2, 4, 6, 9]).round(3)
    array([0.2, 0.6, 1. , 0.5, 0. , 0. ])
    >>> OneCycle(rise=2).bind_momentum(lr=1.0, steps=6)([0, 1, 2, 4, 6]).round(3)
    array([0.95, 0.9 , 0.85, 0.9 , 0.95])

    Source: Smith & Topin 2018, arXiv:1708.07120; two cosine phases: fastai.
    """

    helps: ClassVar[str] = "Short budgets with SGD: the high middle speeds up and regularises, the end settles."
    hurts: ClassVar[str] = "Runs that cannot be planned to the last update, and peaks near the limit of stability."

    kind: Literal["one_cycle"] = "one_cycle"
    rise: Duration = Field(written("30%"), description="Updates from `start` to the peak.")
    start: Level = Field(written("4%"), description="Value at the first update: an LR, or a percentage of the peak.")
    final: Level = Field(written("0.0004%"), description="Value at the end: an LR, or a percentage of the peak.")
    phases: Literal[2, 3] = Field(2, description="Three phases return to `start` before the final fall.")
    shape: Literal["cosine", "linear"] = Field("cosine", description="Shape of every phase.")
    cycle_momentum: bool = Field(True, description="Move momentum (or beta1) the other way.")
    base_momentum: Momentum = Field(0.85, description="Momentum where the LR is highest.")
    max_momentum: Momentum = Field(0.95, description="Momentum at the start and at the end.")

    @model_validator(mode="after")
    def _momentum_order(self) -> Self:
        if self.base_momentum > self.max_momentum:
            raise ValueError(
                f"base_momentum must be at most max_momentum, but got {self.base_momentum} and"
                f" {self.max_momentum}; exchange them"
            )
        return self

    def check(self, length: int) -> None:
        """The rise (and in three phases its mirror image) must fit in."""
        risen = self.rise * (self.phases - 1)
        if risen > length:
            raise ScheduleError(
                f"{self.phases} phases with a rise of {self.rise} updates take at least {risen},"
                f" but there are {length}",
                where="rise",
                remedy=f"write at most {length // (self.phases - 1)}",
            )

    def factor(self, d: Array, length: int) -> Array:
        """A share of the way from a low to a high value, phase by phase."""
        share = self._share(d, length)
        if self.phases == 2:
            return above(np.where(d < self.rise, self.start, self.final), share)
        third = d >= 2 * self.rise
        low = np.where(third, self.final, self.start)
        # Without a rise to mirror, the third phase falls from the peak.
        return low + (np.where(third, self.start if self.rise else 1.0, 1.0) - low) * share

    def momentum(self, d: Array, length: int) -> Array | None:
        """The same shape upside down."""
        if not self.cycle_momentum:
            return None
        height = self._share(d, length)
        if self.phases == 3:
            height[d >= 2 * self.rise] = 0.0
        return self.max_momentum - (self.max_momentum - self.base_momentum) * height

    def _share(self, d: Array, length: int) -> Array:
        """Height within the phase that d is in."""
        fall = self.rise if self.phases == 3 else length - self.rise
        left = np.where(d < self.rise, d / max(self.rise, 1), remaining(d - self.rise, fall))
        if self.phases == 3:
            left = np.where(d < 2 * self.rise, left, remaining(d - 2 * self.rise, length - 2 * self.rise))
        return DECAYS[self.shape](left)


class SlantedTriangular(Schedule):
    """A short steep rise and a long fall, both straight.

    factor(d) = 1/ratio + (1 − 1/ratio)·h;  h = d/C for d < C;  h = (D − d)/(D − C) for d = C … D

    D: updates after warm-up, C = `cut`. It starts and ends at 1/ratio of the peak. C = 0 starts at the peak;
    with C = D it ends there.

    >>> SlantedTriangular(cut=1, ratio=4).bind(lr=1.0, steps=4)([0, 1, 3, 4, 9])
    array([0.25, 1.  , 0.5 , 0.25, 0.25])

    Source: Howard & Ruder 2018, arXiv:1801.06146, eq. 3.
    """

    helps: ClassVar[str] = "Fine-tuning language models, for which it was made."
    hurts: ClassVar[str] = "Training from scratch: the rise is short, and the end is not low."

    kind: Literal["slanted_triangular"] = "slanted_triangular"
    cut: Duration = Field(written("10%"), description="Updates of the rise.")
    ratio: Annotated[float, bounds(least=1, example=32)] = Field(32.0, description="Peak over lowest LR.")

    def check(self, length: int) -> None:
        """The rise must fit in."""
        if self.cut > length:
            raise ScheduleError(
                f"the rise takes {self.cut} updates, but warm-up leaves {length}",
                where="cut",
                remedy=f"write at most {length}",
            )

    def factor(self, d: Array, length: int) -> Array:
        """Two straight lines."""
        fall = remaining(np.maximum(d - self.cut, 0), length - self.cut)
        height = np.where(d < self.cut, d / max(self.cut, 1), fall)
        return above(1 / self.ratio, height)
