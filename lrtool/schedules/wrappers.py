"""Schedules around one other: scaled, clipped, repeated."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import (
    Field,
)

from lrtool.errors import ScheduleError
from lrtool.schedules.base import Duration, Level, Schedule, written
from lrtool.schedules.curve import Array, Binding
from lrtool.schedules.nested import AnySchedule, inside
from lrtool.schedules.rules import bounds


class _Wrapper(Schedule):
    """A schedule around one other."""

    schedule: AnySchedule = Field(written("cosine"), description="The schedule inside.")

    def resolve(self, run: Binding) -> Self:
        """The inner schedule is bound to what warm-up leaves of the run."""
        resolved = super().resolve(run)
        steps = (run.steps if resolved.duration is None else resolved.duration) - resolved.lead
        with inside("schedule"):
            inner = self.schedule.resolve(run.shortened(self._inner_length(max(steps, 0), resolved)))
        return resolved.model_copy(update={"schedule": inner})

    def _inner_length(self, length: int, resolved: Self) -> int:
        return length

    def check(self, length: int) -> None:
        """The inner schedule against its updates."""
        with inside("schedule"):
            self.schedule.validate_length(self._inner_length(length, self))

    def momentum(self, d: Array, length: int) -> Array | None:
        """The inner schedule's, as it is."""
        return self.schedule.momentum_values(d, length)


class Scaled(_Wrapper):
    """Another schedule times a number.

    factor(d) = by·inner(d)

    `by` is above 0 and at most 1, since the LR names the highest value. Momentum is not scaled.

    >>> Scaled(schedule="linear", by=0.5).bind(lr=1.0, steps=4)([0, 2, 4, 9])
    array([0.5 , 0.25, 0.  , 0.  ])

    Source: composition; torch's ChainedScheduler with ConstantLR.
    """

    helps: ClassVar[str] = "Segments of a sequence that should run lower than the rest."
    hurts: ClassVar[str] = "As the whole schedule it only hides the real peak; change the LR instead."

    kind: Literal["scaled"] = "scaled"
    by: Annotated[float, bounds(above=0, most=1, example=0.5)] = Field(
        0.5, description="What values are multiplied by."
    )

    def factor(self, d: Array, length: int) -> Array:
        """A multiple of the inner schedule."""
        return self.by * self.schedule.fractions(d, length)


class Clipped(_Wrapper):
    """Another schedule, kept between two levels.

    factor(d) = min(max(inner(d), low), high)

    `low` must not be above `high`. Momentum is not clipped.

    >>> Clipped(schedule="linear", low="20%", high="75%").bind(lr=1.0, steps=4)([0, 1, 2, 4, 9])
    array([0.75, 0.75, 0.5 , 0.2 , 0.2 ])

    Source: composition; optax's `end_value`.
    """

    helps: ClassVar[str] = "A floor for decays that would otherwise stop learning."
    hurts: ClassVar[str] = "Decays to zero that are meant: a floor keeps the noise that they remove."

    kind: Literal["clipped"] = "clipped"
    low: Level = Field(written("1%"), description="Lowest value: an LR, or a percentage of the peak.")
    high: Level = Field(written("100%"), description="Highest value: an LR, or a percentage of the peak.")

    def check(self, length: int) -> None:
        """Also: low must not be above high."""
        if self.low > self.high:
            raise ScheduleError(
                f"must not be above high, but is {self.low:.6g} of the peak, and high {self.high:.6g}",
                where="low",
                remedy="exchange low and high",
            )
        super().check(length)

    def factor(self, d: Array, length: int) -> Array:
        """The inner schedule within bounds."""
        return np.clip(self.schedule.fractions(d, length), self.low, self.high)


class Repeated(_Wrapper):
    """Another schedule again and again.

    factor(d) = decay^n·inner(d − n·P),  n = ⌊d/P⌋

    P = `every` updates: each round behaves as a run of that length; a last round may be cut off by the end.
    After `times` rounds the final value is held. The run never ends on a restart: where a round ends with the
    run, its final value is held. `every: 0` is an error.

    >>> Repeated(schedule="linear", every=2, decay=0.5).bind(lr=1.0, steps=4)([0, 1, 2, 3, 4, 9])
    array([1.  , 0.5 , 0.5 , 0.25, 0.  , 0.  ])

    Source: composition; restarts as in Loshchilov & Hutter 2017, arXiv:1608.03983.
    """

    helps: ClassVar[str] = "Restarts of any shape, such as one-cycle several times over."
    hurts: ClassVar[str] = "The final loss at a fixed budget: each restart undoes part of what a decay gained."
    periods = frozenset({"every"})

    kind: Literal["repeated"] = "repeated"
    every: Duration = Field(written("25%"), description="Updates of a round.")
    times: int | None = Field(None, ge=1, description="Stop after so many rounds.")
    decay: Annotated[float, bounds(above=0, most=1, example=0.8)] = Field(
        1.0, description="Each round is this part of the one before."
    )

    def _inner_length(self, length: int, resolved: Self) -> int:
        return resolved.every

    def _round(self, d: Array, length: int) -> tuple[Array, Array]:
        """Number of the round and the step in it."""
        most = max(-(-length // self.every), 1)
        n = np.minimum(np.floor(d / self.every), min(most, self.times or most) - 1)
        return n, np.minimum(d - n * self.every, self.every)

    def factor(self, d: Array, length: int) -> Array:
        """The inner schedule at the step of the round."""
        n, local = self._round(d, length)
        inner = self.schedule.fractions(local, self.every)
        return inner if self.decay == 1 else inner * self.decay**n

    def momentum(self, d: Array, length: int) -> Array | None:
        """The inner schedule's, round by round."""
        return self.schedule.momentum_values(self._round(d, length)[1], self.every)
