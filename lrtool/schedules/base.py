"""What every schedule shares: binding to a run, warm-up, holding the last value, random access.

A schedule is a specification; `bind` makes it a curve. Formulas see numbers only: durations arrive as
updates, levels as fractions of the peak.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lrtool import units
from lrtool.errors import ScheduleError
from lrtool.schedules.curve import Array, Binding, Curve

if TYPE_CHECKING:
    # What formulas see. Before `bind` the fields hold units.Duration and units.Level.
    Duration = int
    Level = float
else:
    Duration = units.Duration
    Level = units.Level


class Schedule(BaseModel, ABC):
    """A learning-rate schedule: fields a user writes, and one formula.

    Subclasses give `factor`; `check` where fields limit each other or the run's length.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, defer_build=True)

    #: What `lrtool schedule explain` says besides the docstring.
    helps: ClassVar[str] = ""
    hurts: ClassVar[str] = ""
    #: What `lrtool init` writes in place of the fields' defaults.
    starting: ClassVar[Mapping[str, Any]] = {}
    #: Durations the formula divides by: 0 is an error, and a fraction that rounds to 0 comes to 1 update.
    periods: ClassVar[frozenset[str]] = frozenset()
    #: Durations at which the curve leaves the peak: a fraction that rounds to 0 comes to 1 update, 0 stays 0.
    changes: ClassVar[frozenset[str]] = frozenset()
    #: Durations that may exceed the run, because they only set how fast the curve falls.
    timescales: ClassVar[frozenset[str]] = frozenset()

    kind: str
    duration: Duration | None = Field(
        None, description="Updates it takes, warm-up included (default: all there are); then its final value is held."
    )
    warmup: Duration = Field(0, description="Updates of warm-up before the schedule proper starts.")
    warmup_start: Level = Field(0.0, description="Where the ramp begins: the value just before the first update.")
    warmup_shape: Literal["linear", "cosine", "exponential", "constant"] = Field(
        "linear", description="Shape of the ramp; `constant` holds `warmup_start`."
    )
    warmup_progress: Literal["end", "start", "inner"] = Field(
        "end",
        description="Where update t stands in a ramp of W: end (t+1)/W; start t/W, as Hugging Face and timm have it;"
        " inner (t+1)/(W+1), as nanoGPT.",
    )
    warmup_overlaps: bool = Field(
        False, description="The warm-up lies over the start of the schedule, which counts from the first update (timm)."
    )
    hold: Duration = Field(
        0, description="Hold each value for so many updates, counted from the first: 1ep for recipes stepped per epoch."
    )

    @abstractmethod
    def factor(self, d: Array, length: int) -> Array:
        """The schedule's formula: value at local step d = 0 … length, as a fraction of the peak, a new array."""

    def momentum(self, d: Array, length: int) -> Array | None:
        """The momentum that goes with it at local step d, or None where the schedule leaves it alone."""
        return None

    @property
    def lead(self) -> int:
        """Updates before the schedule proper begins (resolved schedules only)."""
        return 0 if self.warmup_overlaps else self.warmup

    def warmup_target(self, length: int) -> float:
        """What the warm-up ramps to: where the schedule proper starts."""
        return float(self.factor(np.zeros(1), length)[0])

    def check(self, length: int) -> None:
        """Raise ScheduleError where the resolved fields do not fit `length` updates or each other."""

    def bind(self, lr: float, steps: int, steps_per_epoch: int | None = None) -> Curve:
        """The curve of this schedule for a peak LR and a number of updates; both may be given as text.

        Raises ScheduleError where lr is not above 0, steps is below 1, or a field does not fit the run.
        """
        lr, steps = as_peak(lr), as_length(steps)
        resolved = self._bound(lr, steps, steps_per_epoch)
        return Curve(lambda t: lr * resolved.fractions(t, steps), steps, lr)

    def bind_momentum(self, lr: float, steps: int, steps_per_epoch: int | None = None) -> Curve | None:
        """The momentum curve that goes with the schedule (one-cycle's inverse cycle), if it has one."""
        lr, steps = as_peak(lr), as_length(steps)
        resolved = self._bound(lr, steps, steps_per_epoch)
        if resolved.momentum_values(np.zeros(1), steps) is None:
            return None

        def values(t: Array) -> Array:
            out = resolved.momentum_values(t, steps)
            assert out is not None
            return out

        return Curve(values, steps, float(values(np.arange(steps, dtype=np.float64)).max()))

    def _bound(self, lr: float, steps: int, steps_per_epoch: int | None) -> Self:
        resolved = self.resolve(Binding(lr, steps, steps_per_epoch))
        resolved.validate_length(steps)
        return resolved

    def resolve(self, run: Binding) -> Self:
        """A copy in which durations are updates and levels are fractions of the peak.

        Percentages count from the schedule's own duration where it has one, else from the run.
        """
        own = run
        if self.duration is not None:
            own = run.shortened(self._resolve("duration", self.duration, run))
        fields = {name: getattr(self, name) for name in type(self).model_fields if name != "duration"}
        update = {name: self._resolve(name, value, own) for name, value in fields.items()}
        return self.model_copy(update={**update, "duration": None if self.duration is None else own.steps})

    def _resolve(self, name: str, value: Any, run: Binding) -> Any:
        match value:
            case units.Duration():
                return self._updates(name, value, run)
            case units.Level():
                return _fraction(name, value, run)
            case tuple():
                return tuple(self._resolve(f"{name}.{i}", item, run) for i, item in enumerate(value))
        return value

    def _updates(self, name: str, duration: units.Duration, run: Binding) -> int:
        try:
            updates = duration.steps(run.steps, run.steps_per_epoch)
        except ValueError as error:
            what, _, remedy = str(error).partition("; ")
            raise ScheduleError(what, where=name, remedy=remedy or None) from None
        came_to = "" if duration.unit == "steps" else f" ({updates} updates)"
        # A period is at least 1, even where warm-up takes the whole run.
        most = max(run.steps, 1) if name in self.periods else run.steps
        if updates > most and name not in self.timescales:
            raise ScheduleError(
                f"must fit into the {run.steps} updates there are, but got {duration.written()!r}{came_to}",
                where=name,
                remedy=f"write at most {run.steps}, or a percentage such as '10%'",
            )
        if name in self.periods and not duration.amount:
            raise ScheduleError("must be above 0, but got 0", where=name, remedy="write 1 or more updates")
        if name in self.periods:
            return max(updates, 1)  # a part of a very short run that rounds to nothing
        leaves_peak = name.partition(".")[0] in self.changes and duration.amount > 0
        return max(updates, min(1, run.steps)) if leaves_peak else updates

    def validate_length(self, length: int) -> None:
        """Check a resolved schedule against the updates it is given."""
        if self.duration is not None:
            length = self.duration
        if self.warmup > length:
            raise ScheduleError(
                f"warm-up takes {self.warmup} updates, but there are only {length}",
                where="warmup",
                remedy=f"write at most {length}, or a percentage such as '10%'",
            )
        if self.warmup and self.warmup_shape == "exponential" and self.warmup_start <= 0:
            raise ScheduleError(
                f"an exponential ramp starts above 0, but got {self.warmup_start:g}",
                where="warmup_start",
                remedy="try warmup_start: '1%', or warmup_shape: linear",
            )
        self.check(length - self.lead)

    def fractions(self, t: Array, length: int) -> Array:
        """Fractions of the peak at local steps t = 0 … length, warm-up included (resolved schedules only)."""
        if self.duration is not None:
            length, t = self.duration, np.minimum(t, self.duration)
        if self.hold:
            t = np.floor(t / self.hold) * self.hold
        if not self.warmup:
            return self.factor(t, length)
        proper = length - self.lead
        out = self.factor(np.maximum(t - self.lead, 0.0), proper)
        ramp = t < self.warmup
        if ramp.any():
            out[ramp] = self._ramp(t[ramp], self.warmup_target(proper))
        return out

    def _ramp(self, t: Array, target: float) -> Array:
        """Warm-up over W updates: update t is at (t+1)/W, so none is wasted at LR 0, unless told otherwise."""
        match self.warmup_progress:
            case "end":
                p = (t + 1) / self.warmup
            case "start":
                p = t / self.warmup
            case "inner":
                p = (t + 1) / (self.warmup + 1)
        start = self.warmup_start
        out: Array
        match self.warmup_shape:
            case "linear":
                out = start + (target - start) * p
            case "cosine":
                out = start + (target - start) * np.sin(math.pi / 2 * p) ** 2
            case "exponential":
                out = start * (target / start) ** p
            case "constant":
                out = np.full_like(p, start)
        out[p >= 1] = target  # exactly: rounding must not miss the peak
        return out

    def momentum_values(self, t: Array, length: int) -> Array | None:
        """The momentum at local steps t = 0 … length, if the schedule moves it (resolved schedules only)."""
        if self.duration is not None:
            length = self.duration
        if self.hold:
            t = np.floor(t / self.hold) * self.hold
        proper = length - self.lead
        return self.momentum(np.clip(t - self.lead, 0, proper), proper)


def written(default: object) -> Any:
    """A field's default as a user writes it ("10%"); pydantic parses it like any other value."""
    return default


def as_peak(lr: object) -> float:
    """The peak LR that was given."""
    found = units.number(lr)
    if found is None or found <= 0:
        what = f"the LR must be a finite number above 0, but got {units.shown(lr)}"
        raise ScheduleError(what, where="lr", remedy="try 0.01")
    return found


def as_length(steps: object) -> int:
    """The number of updates that was given."""
    found = units.whole(steps)
    if not found:
        what = f"a run has at least 1 update and a whole number of them, but got {units.shown(steps)}"
        if found == 0:
            what = "a run has at least 1 update, but got 0"
        raise ScheduleError(what, where="steps", remedy="try 100")
    return found


def _fraction(name: str, level: units.Level, run: Binding) -> float:
    fraction = level.fraction(run.peak)
    if fraction > 1:
        raise ScheduleError(
            f"must not be above the peak of {run.peak:g}, but got {level.written()!r}",
            where=name,
            remedy=f"write at most {run.peak:g} or '100%', or raise the LR",
        )
    return fraction
