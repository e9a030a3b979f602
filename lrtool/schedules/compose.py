"""Schedules made of schedules: one after another, scaled, clipped, repeated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, cast

import numpy as np
from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    TypeAdapter,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from lrtool import units
from lrtool.errors import ScheduleError
from lrtool.schedules.base import Array, Binding, Duration, Level, Schedule, written
from lrtool.schedules.rules import bounds


@cache
def _any() -> TypeAdapter[Schedule]:
    from lrtool.schedules import KINDS

    return TypeAdapter(KINDS.annotation())


def _parse(value: object, info: ValidationInfo) -> object:
    return value if isinstance(value, Schedule) else _any().validate_python(value, context=info.context)


if TYPE_CHECKING:
    AnySchedule = Schedule
else:
    #: Any kind, as a config writes it; a list is short for a sequence.
    AnySchedule = Annotated[
        SerializeAsAny[Schedule],
        BeforeValidator(_parse),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string"},
                    {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}}},
                    {"type": "array"},
                ],
                "description": "A schedule: a kind, a mapping with `kind`, or a list of segments.",
            }
        ),
    ]


@contextmanager
def _inside(place: str) -> Iterator[None]:
    """Errors of a part name the part."""
    try:
        yield
    except ScheduleError as error:
        where = f"{place}.{error.where}" if error.where else place
        raise ScheduleError(error.what, where=where, remedy=error.remedy) from None


class Sequence(Schedule):
    """Schedules one after another; in a config, a list is short for it.

    factor(d) = segment i at its local step d − b_i,  for b_i ≤ d < b_{i+1}

    b_i: the sum of the durations before segment i. Each segment behaves as it does alone in a run of its
    duration: it counts its own steps, and percentages inside it are parts of its duration. Durations of
    segments are parts of the sequence. Every segment but the last has a `duration`; the last takes the rest,
    or holds its final value. A sequence inside a sequence is the same as its segments in its place, exactly.
    Segments that come to no update are left out. A segment without a momentum cycle keeps its neighbour's
    momentum.

    >>> Sequence(segments=[{"kind": "linear", "start": 0, "final": "100%", "duration": 2}, "cosine"]).bind(
    ...     lr=1.0, steps=6)([0, 1, 2, 4, 6, 9]).round(3)
    array([0. , 0.5, 1. , 0.5, 0. , 0. ])

    Source: composition as in optax `join_schedules`.
    """

    helps: ClassVar[str] = "Recipes with several phases, each with its own length and shape."
    hurts: ClassVar[str] = "Simple needs: warm-up is a field of every schedule and takes no sequence."

    kind: Literal["sequence"] = "sequence"
    segments: tuple[AnySchedule, ...] = Field(
        written(({"kind": "constant", "duration": "50%"}, {"kind": "cosine"})),
        min_length=1,
        description="Schedules, each with a `duration`; the last may do without.",
    )

    @model_validator(mode="before")
    @classmethod
    def _flatten(cls, data: Any) -> Any:
        """Put the segments of plain inner sequences in their place."""
        if isinstance(data, dict) and isinstance(data.get("segments"), list | tuple):
            return {**data, "segments": tuple(_flat(data["segments"]))}
        return data

    @model_validator(mode="after")
    def _durations(self) -> Self:
        for i, segment in enumerate(self.segments[:-1]):
            if segment.duration is None:
                raise ValueError(
                    f"every segment but the last needs a duration, but segment {i} ({segment.kind}) has none;"
                    " try duration: '50%'"
                )
        return self

    def is_plain(self) -> bool:
        """Whether it does nothing but run its segments in order."""
        moved = cast(units.Duration, self.warmup).amount or cast(units.Duration, self.hold).amount
        return self.duration is None and not moved

    def resolve(self, run: Binding) -> Self:
        """Boundaries are rounded, not durations, so that parts which add up to 100% fill the run."""
        resolved = super().resolve(run)
        steps = (run.steps if resolved.duration is None else resolved.duration) - resolved.lead
        own = run.shortened(max(steps, 0))
        parts: list[Schedule] = []
        end, exact = 0, Fraction(0)
        for i, segment in enumerate(self.segments):
            with _inside(f"segments.{i}"):
                exact = _end(exact, segment, own)
                begin, end = end, units.rounded(exact)
                if end > own.steps:
                    raise ScheduleError(
                        f"the segments up to this one take {end} updates, but there are {own.steps}",
                        where="duration",
                        remedy="shorten the segments, or leave out the last one's duration",
                    )
                if end > begin or (i == len(self.segments) - 1 and not parts):
                    whole = segment.model_copy(update={"duration": units.Duration(end - begin)})
                    parts.append(whole.resolve(own))
        return resolved.model_copy(update={"segments": tuple(parts)})

    def check(self, length: int) -> None:
        """Each segment against its own duration."""
        for i, segment in enumerate(self.segments):
            with _inside(f"segments.{i}"):
                segment.validate_length(segment.duration or 0)

    def factor(self, d: Array, length: int) -> Array:
        """Each segment at its own steps."""
        out = np.empty_like(d)
        for segment, mask, local, steps in self._split(d):
            out[mask] = segment.fractions(local, steps)
        return out

    def momentum(self, d: Array, length: int) -> Array | None:
        """Each segment's momentum, or its neighbour's where it has none."""
        ends = [segment.momentum_values(np.array([0.0, segment.duration or 0]), 0) for segment in self.segments]
        known = [i for i, pair in enumerate(ends) if pair is not None]
        if not known:
            return None
        out = np.empty_like(d)
        for i, (segment, mask, local, steps) in enumerate(self._split(d, skip_empty=False)):
            values = segment.momentum_values(local, steps)
            if values is None:
                before = [j for j in known if j < i]
                pair = ends[before[-1] if before else known[0]]
                assert pair is not None
                values = np.full_like(local, pair[1] if before else pair[0])
            out[mask] = values
        return out

    def _split(self, d: Array, skip_empty: bool = True) -> Iterator[tuple[Schedule, Any, Array, int]]:
        """Segment, which of d fall in it, their local steps, its updates."""
        lengths = [segment.duration or 0 for segment in self.segments]
        begins = np.concatenate(([0.0], np.cumsum(lengths[:-1], dtype=np.float64)))
        at = np.searchsorted(begins, d, side="right") - 1
        for i, (segment, begin, steps) in enumerate(zip(self.segments, begins, lengths, strict=True)):
            mask = at == i
            if skip_empty and not mask.any():
                continue
            yield segment, mask, np.minimum(d[mask] - begin, steps), steps


def _flat(segments: Any) -> Iterator[Any]:
    for segment in segments:
        if isinstance(segment, list | tuple):
            yield from _flat(segment)
        elif isinstance(segment, Sequence) and segment.is_plain():
            yield from segment.segments
        elif isinstance(segment, dict) and segment.keys() == {"kind", "segments"} and segment["kind"] == "sequence":
            yield from _flat(segment["segments"])
        else:
            yield segment


def _end(begin: Fraction, segment: Schedule, run: Binding) -> Fraction:
    """Where a segment that begins at `begin` ends, in updates that are not yet whole."""
    if segment.duration is None:
        return max(begin, Fraction(run.steps))
    duration = cast(units.Duration, segment.duration)
    segment._updates("duration", duration, run)  # says what does not fit
    return begin + duration.exact(run.steps, run.steps_per_epoch)


class _Wrapper(Schedule):
    """A schedule around one other."""

    schedule: AnySchedule = Field(written("cosine"), description="The schedule inside.")

    def resolve(self, run: Binding) -> Self:
        """The inner schedule is bound to what warm-up leaves of the run."""
        resolved = super().resolve(run)
        steps = (run.steps if resolved.duration is None else resolved.duration) - resolved.lead
        with _inside("schedule"):
            inner = self.schedule.resolve(run.shortened(self._inner_length(max(steps, 0), resolved)))
        return resolved.model_copy(update={"schedule": inner})

    def _inner_length(self, length: int, resolved: Self) -> int:
        return length

    def check(self, length: int) -> None:
        """The inner schedule against its updates."""
        with _inside("schedule"):
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
