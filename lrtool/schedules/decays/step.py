"""Steps down: at equal distances, at milestones, to given values."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from lrtool import units
from lrtool.errors import ScheduleError
from lrtool.schedules.base import Duration, Level, Schedule, written
from lrtool.schedules.curve import Array
from lrtool.schedules.rules import bounds

Gamma = Annotated[float, bounds(above=0, most=1, example=0.1)]


class Step(Schedule):
    """Multiply by `gamma` every so many updates.

    factor(d) = γ^⌊d/s⌋

    d: updates since the end of warm-up, s = `every`. `every: 0` is an error. A step that
    falls on the end of the run counts for the value held after it.

    >>> Step(every=2, gamma=0.1).bind(lr=1.0, steps=5)([0, 1, 2, 4, 5, 9]).round(4)
    array([1.  , 1.  , 0.1 , 0.01, 0.01, 0.01])

    Source: He et al. 2016, arXiv:1512.03385 (divided by 10 at intervals).
    """

    helps: ClassVar[str] = "Reproducing image-classification recipes of the residual-network years."
    hurts: ClassVar[str] = "Two numbers must be tuned to the length of the run; smooth decays need none."
    periods = frozenset({"every"})

    kind: Literal["step"] = "step"
    every: Duration = Field(written("30%"), description="Updates between two steps.")
    gamma: Gamma = Field(0.1, description="Factor of each step.")

    def factor(self, d: Array, length: int) -> Array:
        """A power of the number of steps done."""
        out: Array = np.power(self.gamma, np.floor(d / self.every))
        return out


class _Milestones(Schedule):
    """Schedules that change at listed updates, which count from the first one of the run, warm-up included."""

    changes = frozenset({"milestones"})

    milestones: tuple[Duration, ...] = Field(written(("50%", "75%")), description="Updates at which the LR changes.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        written = self.model_dump(include={"milestones"})["milestones"]
        # Different units can only be compared once the run is known; `check` does that.
        for (first, a), (second, b) in zip(
            pairs := list(zip(self.milestones, written, strict=True)), pairs[1:], strict=False
        ):
            if first.unit == second.unit and first.amount >= second.amount:  # type: ignore[attr-defined]
                raise ValueError(
                    f"milestones must increase, but {a!r} is followed by {b!r}; try milestones: ['50%', '75%']"
                )
        return self

    def check(self, length: int) -> None:
        """Milestones in order and within the run; two may meet where percentages round to one update."""
        ordered = all(a <= b for a, b in zip(self.milestones, self.milestones[1:], strict=False))
        length += self.lead
        if not ordered or (self.milestones and self.milestones[-1] > length):
            raise ScheduleError(
                f"milestones must increase and lie within the {length} updates there are,"
                f" but got {list(self.milestones)}",
                where="milestones",
                remedy="try milestones: ['50%', '75%']",
            )

    def _piece(self, pieces: Array, d: Array) -> Array:
        """The entry of `pieces` after the milestones that are ≤ W + d."""
        n = np.searchsorted(np.asarray(self.milestones, dtype=np.float64), d + self.lead, side="right")
        # Not pieces[n], which `export` could not follow.
        return np.take_along_axis(pieces, n, 0)


class MultiStep(_Milestones):
    """Multiply by `gamma` at each milestone.

    factor(d) = γ^n,  n = how many milestones are ≤ W + d

    d: updates since the end of a warm-up of W. Milestones are places in the run, counted from its first update, as
    papers have them, whatever the warm-up; percentages are of the whole run. No milestones: constant.

    >>> MultiStep(milestones=[2, 3], gamma=0.5).bind(lr=1.0, steps=4)([0, 1, 2, 3, 4, 9])
    array([1.  , 1.  , 0.5 , 0.25, 0.25, 0.25])

    Source: He et al. 2016, arXiv:1512.03385, section 4.2.
    """

    helps: ClassVar[str] = "Recipes that name the epochs at which the LR drops."
    hurts: ClassVar[str] = "Milestones copied from a run of another length are in the wrong place."

    kind: Literal["multistep"] = "multistep"
    gamma: Gamma = Field(0.1, description="Factor at each milestone.")

    def factor(self, d: Array, length: int) -> Array:
        """A power of the number of milestones passed."""
        return self._piece(np.power(self.gamma, np.arange(len(self.milestones) + 1, dtype=np.float64)), d)


class Piecewise(_Milestones):
    """Constant between milestones, at given values or after given factors.

    factor(d) = values[n], or factors[0]·…·factors[n−1];  n = how many milestones are ≤ W + d

    `values` has one entry more than `milestones`; `factors` has one per milestone and starts from the peak.
    d: updates since the end of a warm-up of W; milestones count from the first update of the run. A value above the
    peak is an error.

    >>> Piecewise(milestones=[1, 3], values=["100%", 0.3, "1%"]).bind(lr=1.0, steps=4)([0, 1, 2, 3, 9])
    array([1.  , 0.3 , 0.3 , 0.01, 0.01])
    >>> Piecewise(milestones=[2], factors=[0.5]).bind(lr=1.0, steps=4)([0, 1, 2, 4])
    array([1. , 1. , 0.5, 0.5])

    Source: Krizhevsky et al. 2012, section 5 (by hand); optax calls it piecewise_constant_schedule.
    """

    helps: ClassVar[str] = "Replaying LRs that someone chose by hand, and lambda functions with few values."
    hurts: ClassVar[str] = "Every value is one more thing to tune."

    kind: Literal["piecewise"] = "piecewise"
    values: tuple[Level, ...] | None = Field(None, description="Value of each piece: LRs, or percentages of the peak.")
    factors: tuple[Annotated[float, bounds(least=0, example=0.1)], ...] | None = Field(
        None, description="Factor at each milestone, instead of `values`; 0.1 each where neither is given."
    )

    @model_validator(mode="after")
    def _counts(self) -> Self:
        if self.values is not None and self.factors is not None:
            raise ValueError("values and factors exclude each other; give one of them")
        n = len(self.milestones)
        if self.values is not None and len(self.values) != n + 1:
            raise ValueError(f"{n} milestones need {n + 1} values, but got {len(self.values)}; add or remove some")
        if self.factors is not None and len(self.factors) != n:
            raise ValueError(f"{n} milestones need {n} factors, but got {len(self.factors)}; add or remove some")
        return self

    def _pieces(self) -> Array:
        if self.values is not None:
            return np.asarray(self.values, dtype=np.float64)
        factors = self.factors if self.factors is not None else (0.1,) * len(self.milestones)
        return np.cumprod(np.array([1.0, *factors]))

    def check(self, length: int) -> None:
        """Also: factors must not lead above the peak."""
        super().check(length)
        if (top := self._pieces().max()) > 1 + units.ROUNDING:
            raise ScheduleError(
                f"the factors must not lead above the peak, but {list(self.factors or ())} reach {top:g} times it",
                where="factors",
                remedy="raise the LR to the highest value, and write values as percentages of it",
            )

    def factor(self, d: Array, length: int) -> Array:
        """The value of the piece that d is in."""
        return self._piece(np.minimum(self._pieces(), 1.0), d)
