"""Cosine annealing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from lrtool.errors import ScheduleError
from lrtool.schedules.base import Duration, Level, Schedule, written
from lrtool.schedules.curve import Array
from lrtool.schedules.rules import bounds
from lrtool.schedules.shapes import above, cosine, remaining


class Cosine(Schedule):
    """Half a cosine from the peak to `final`.

    factor(d) = final + (1 − final)·((1 + cos(π·(d/D)^k))/2)^exponent,  d = 0 … D

    D: updates after warm-up. `exponent` above 1 falls earlier; `k` above 1 stays high longer (k-decay). With
    D = 0 the value is the peak. Computed as sin²(π/2·(1 − (d/D)^k)), which is exact near the end.

    >>> Cosine(final=0.1).bind(lr=1.0, steps=4)([0, 2, 4, 9]).round(3)
    array([1.  , 0.55, 0.1 , 0.1 ])

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5; k-decay: Zhang & Li 2020, arXiv:2004.05909.
    """

    helps: ClassVar[str] = "The default where the length of the run is known: no tuning, and a gentle end."
    hurts: ClassVar[str] = "Runs that stop early or are extended: the curve only pays off when it is completed."
    starting: ClassVar[Mapping[str, Any]] = {"warmup": "5%"}

    kind: Literal["cosine"] = "cosine"
    final: Level = Field(0.0, description="Value at the end of the decay: an LR, or a percentage of the peak.")
    exponent: Annotated[float, bounds(above=0, example=1)] = Field(1.0, description="Power of the cosine.")
    k: Annotated[float, bounds(above=0, example=1.5)] = Field(1.0, description="Power of the progress (k-decay).")

    def factor(self, d: Array, length: int) -> Array:
        """Half a cosine."""
        left = remaining(d, length)
        if self.k != 1:
            left = 1 - (1 - left) ** self.k
        share = cosine(left)
        return above(self.final, share if self.exponent == 1 else share**self.exponent)


class FlatCosine(Schedule):
    """Stay at the peak, then half a cosine down.

    factor(d) = 1 for d < F;  final + (1 − final)·(1 + cos(π·(d − F)/(D − F)))/2 for d = F … D

    D: updates after warm-up, F = `flat`. F = 0 is cosine annealing; with F = D the peak is held throughout,
    also past the end.

    >>> FlatCosine(flat=2).bind(lr=1.0, steps=4)([0, 2, 3, 4, 9]).round(3)
    array([1. , 1. , 0.5, 0. , 0. ])

    Source: fastai `fit_flat_cos`; WSD with a cosine decay, Hägele et al. 2024, arXiv:2405.18392.
    """

    helps: ClassVar[str] = (
        "Fine-tuning and optimizers with their own warm-up (RAdam, Ranger), which like a long plateau."
    )
    hurts: ClassVar[str] = "Little; a plateau at a peak that is too high is less forgiving than a cosine's."

    kind: Literal["flat_cosine"] = "flat_cosine"
    flat: Duration = Field(written("75%"), description="Updates at the peak, after warm-up.")
    final: Level = Field(0.0, description="Value at the end: an LR, or a percentage of the peak.")

    def check(self, length: int) -> None:
        """The plateau must fit in."""
        if self.flat > length:
            raise ScheduleError(
                f"the plateau takes {self.flat} updates, but warm-up leaves {length}",
                where="flat",
                remedy=f"write at most {length}",
            )

    def factor(self, d: Array, length: int) -> Array:
        """One, then half a cosine."""
        left = remaining((d - self.flat).clip(0), length - self.flat)
        return above(self.final, cosine(left))
