"""What every schedule shares: binding to a run, warm-up, holding the last value, random access.

A schedule is a specification; `bind` makes it a curve. Formulas see numbers only: durations arrive as
updates, levels as fractions of the peak.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from lrtool import units
from lrtool.errors import ScheduleError

Array = NDArray[np.float64]

if TYPE_CHECKING:
    # What formulas see. Before `bind` the fields hold units.Duration and units.Level.
    Duration = int
    Level = float
else:
    Duration = units.Duration
    Level = units.Level


@dataclass(frozen=True)
class Binding:
    """The run a schedule is bound to: its peak LR, its updates, and its updates per epoch."""

    peak: float
    steps: int
    steps_per_epoch: int | None = None


@dataclass(frozen=True)
class Curve:
    """A pure function step → value, evaluated on arrays; steps past the end keep the final value.

    `values` maps steps 0 … `steps` (float64, any shape) to values; `peak` is the value it was bound to.
    """

    values: Callable[[Array], Array]
    steps: int
    peak: float

    @overload
    def __call__(self, t: int) -> float: ...
    @overload
    def __call__(self, t: ArrayLike) -> Array: ...
    def __call__(self, t: ArrayLike) -> float | Array:
        """The value used by update t; raises ScheduleError for a negative step."""
        steps = np.asarray(t, dtype=np.float64)
        if steps.size and steps.min() < 0:
            raise ScheduleError(f"a step is at least 0, but got {steps.min():g}", remedy="count updates from 0")
        out = self.values(np.minimum(steps, self.steps))
        return out if steps.ndim else float(out)

    def table(self) -> Array:
        """The values of updates 0 … steps−1, shape (steps,)."""
        return self(np.arange(self.steps))


class Schedule(BaseModel):
    """A learning-rate schedule: fields a user writes, and one formula.

    Subclasses give `factor`; `check` where fields limit each other or the run's length.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    #: What `lrtool schedule explain` says besides the docstring.
    helps: ClassVar[str] = ""
    hurts: ClassVar[str] = ""
    #: The same schedule elsewhere: how its parameters map, e.g. {"torch": "CosineAnnealingLR(T_max=T, eta_min=final)"}.
    elsewhere: ClassVar[Mapping[str, str]] = {}

    kind: str
    warmup: Duration = Field(0, description="Updates of warm-up before the schedule proper starts.")
    warmup_start: Level = Field(0.0, description="Where the ramp begins: the value just before the first update.")
    warmup_shape: Literal["linear", "cosine", "exponential", "constant"] = Field(
        "linear", description="Shape of the ramp; `constant` holds `warmup_start`."
    )

    def factor(self, d: Array, length: int) -> Array:
        """The schedule's formula: value at local step d = 0 … length, as a fraction of the peak."""
        raise NotImplementedError

    def momentum(self, d: Array, length: int) -> Array | None:
        """The momentum that goes with it at local step d, or None where the schedule leaves it alone."""
        return None

    def check(self, length: int) -> None:
        """Raise ScheduleError where the resolved fields do not fit `length` updates or each other."""

    def bind(self, lr: float, steps: int, steps_per_epoch: int | None = None) -> Curve:
        """The curve of this schedule for a peak LR and a number of updates.

        Raises ScheduleError where lr is not above 0, steps is below 1, or a field does not fit the run.
        """
        resolved = self._bound(lr, steps, steps_per_epoch)
        return Curve(lambda t: lr * resolved.values(t, steps), steps, lr)

    def bind_momentum(self, lr: float, steps: int, steps_per_epoch: int | None = None) -> Curve | None:
        """The momentum curve that goes with the schedule (one-cycle's inverse cycle), if it has one."""
        resolved = self._bound(lr, steps, steps_per_epoch)
        if resolved._momentum_values(np.zeros(1), steps) is None:
            return None

        def values(t: Array) -> Array:
            out = resolved._momentum_values(t, steps)
            assert out is not None
            return out

        return Curve(values, steps, float(values(np.arange(steps, dtype=np.float64)).max()))

    def _bound(self, lr: float, steps: int, steps_per_epoch: int | None) -> Self:
        if not (math.isfinite(lr) and lr > 0):
            raise ScheduleError(
                f"the LR must be a finite number above 0, but got {lr!r}", where="lr", remedy="try 0.01"
            )
        if steps < 1:
            raise ScheduleError(f"a run has at least 1 update, but got {steps}", where="steps", remedy="try 100")
        resolved = self.resolve(Binding(lr, steps, steps_per_epoch))
        resolved.validate_length(steps)
        return resolved

    def resolve(self, run: Binding) -> Self:
        """A copy in which durations are updates and levels are fractions of the peak."""
        return self.model_copy(
            update={name: self._resolve(name, getattr(self, name), run) for name in type(self).model_fields}
        )

    def _resolve(self, name: str, value: Any, run: Binding) -> Any:
        match value:
            case units.Duration():
                try:
                    return value.steps(run.steps, run.steps_per_epoch)
                except ValueError as error:
                    raise ScheduleError(str(error), where=name) from None
            case units.Level():
                return value.fraction(run.peak)
            case Schedule():
                return value.resolve(run)
            case list() | tuple():
                return tuple(self._resolve(name, item, run) for item in value)
        return value

    def validate_length(self, length: int) -> None:
        """Check a resolved schedule against the updates it is given."""
        if self.warmup > length:
            raise ScheduleError(
                f"warm-up takes {self.warmup} updates, but there are only {length}",
                where="warmup",
                remedy=f"write at most {length}, or a percentage such as '10%'",
            )
        self.check(length - self.warmup)

    def values(self, t: Array, length: int) -> Array:
        """Fractions of the peak at local steps t = 0 … length, warm-up included (resolved schedules only)."""
        body = self.factor(np.clip(t - self.warmup, 0, length - self.warmup), length - self.warmup)
        if not self.warmup:
            return body
        first = self.factor(np.zeros(1), length - self.warmup)
        return np.where(t < self.warmup, self._ramp(t, first), body)

    def _ramp(self, t: Array, target: Array) -> Array:
        """Warm-up over W updates: update t runs at progress (t+1)/W, so none is wasted at LR 0."""
        p = np.minimum((t + 1) / self.warmup, 1.0)
        start = self.warmup_start
        match self.warmup_shape:
            case "linear":
                return start + (target - start) * p
            case "cosine":
                return start + (target - start) * np.sin(math.pi / 2 * p) ** 2
            case "exponential":
                grown: Array = start * (target / start) ** p
                return grown
            case "constant":
                held: Array = np.where(t + 1 < self.warmup, start, target)
                return held

    def _momentum_values(self, t: Array, length: int) -> Array | None:
        return self.momentum(np.clip(t - self.warmup, 0, length - self.warmup), length - self.warmup)
