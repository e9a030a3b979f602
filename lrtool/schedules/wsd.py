"""Warm-up, stable, decay: the trapezoid."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, Self, cast

import numpy as np
from pydantic import Field, model_validator

from lrtool import units
from lrtool.errors import ScheduleError
from lrtool.schedules.base import Duration, Level, Schedule, written
from lrtool.schedules.curve import Array, Binding
from lrtool.schedules.rules import bounds
from lrtool.schedules.shapes import DECAYS, above, one_minus_power, remaining


class WSD(Schedule):
    """Stay at the peak, and decay over the last updates only (with warm-up: a trapezoid).

    factor(d) = 1 for d < D − C;  final + (1 − final)·s(x),  x = (d − D + C)/C,  for d = D − C … D

    D: updates after warm-up, C = `decay`. s(x): 1 − x (linear), (1 + cos πx)/2 (cosine), 1 − √x (1-sqrt),
    1 − x² (1-square), 1 − x^p with p = `power` (1-power), 2(1 − x) − (1 + cos πx)/2 (mirror-cosine). `exponential` is
    final^x and needs final > 0. C = 0 never decays; C = D is all decay.

    >>> WSD(decay=2, shape="linear").bind(lr=1.0, steps=4)([0, 2, 3, 4, 9])
    array([1. , 1. , 0.5, 0. , 0. ])
    >>> WSD(decay=2, shape="exponential", final="1%").bind(lr=1.0, steps=4)([2, 3, 4]).round(3)
    array([1.  , 0.1 , 0.01])

    Source: Hu et al. 2024 (MiniCPM), arXiv:2404.06395; Hägele et al. 2024, arXiv:2405.18392 (1 − √x).
    """

    helps: ClassVar[str] = "Open-ended training: branch off a decay whenever a finished model is wanted."
    hurts: ClassVar[str] = "The loss looks bad until the decay, so runs that are cut short are wasted."

    kind: Literal["wsd"] = "wsd"
    decay: Duration = Field(written("20%"), description="Updates of the decay, at the end.")
    shape: Literal["linear", "cosine", "1-sqrt", "1-square", "1-power", "mirror-cosine", "exponential"] = Field(
        "1-sqrt", description="Shape of the decay."
    )
    power: Annotated[float, bounds(above=0, example=0.5)] | None = Field(
        None, description="p of 1 − x^p; giving it is enough, without a `shape`."
    )
    final: Level = Field(0.0, description="Value at the end: an LR, or a percentage of the peak.")

    @model_validator(mode="before")
    @classmethod
    def _power_says_the_shape(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("power") is not None and "shape" not in given:
            return {**given, "shape": "1-power"}
        return given

    @model_validator(mode="after")
    def _power_and_shape(self) -> Self:
        if (self.shape == "1-power") != (self.power is not None):
            raise ValueError(
                "power and shape: 1-power go together; write power: 0.5 alone, or another shape without it"
            )
        return self

    def resolve(self, run: Binding) -> Self:
        """Warm-up and decay fit whenever they add up to 100%: where both round up, the decay gives way."""
        resolved = super().resolve(run)
        decay = cast(units.Duration, self.decay)
        if decay.unit != "percent":
            return resolved
        steps = run.steps if resolved.duration is None else resolved.duration
        exact = decay.exact(steps)
        lead = (
            Fraction(0) if self.warmup_overlaps else cast(units.Duration, self.warmup).exact(steps, run.steps_per_epoch)
        )
        left = steps - resolved.lead if exact + lead <= steps else steps
        return resolved.model_copy(update={"decay": min(units.rounded(exact), left)})

    def check(self, length: int) -> None:
        """The decay must fit in, and an exponential one needs a final value."""
        if self.decay > length:
            raise ScheduleError(
                f"the decay takes {self.decay} updates, but warm-up leaves {length}",
                where="decay",
                remedy=f"write at most {length}",
            )
        if self.shape == "exponential" and self.final <= 0:
            raise ScheduleError(
                f"an exponential decay ends above 0, but got {self.final:g}",
                where="final",
                remedy="try final: '1%', or shape: cosine",
            )

    def factor(self, d: Array, length: int) -> Array:
        """One, then the decay."""
        left = remaining(np.maximum(d - (length - self.decay), 0), self.decay)
        if self.shape == "exponential":
            out: Array = np.power(self.final, 1 - left)
            return out
        share = one_minus_power(left, self.power) if self.power is not None else DECAYS[self.shape](left)
        return above(self.final, share)
