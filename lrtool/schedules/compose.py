"""A schedule made of others, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
from pydantic import (
    Field,
    model_validator,
)

from lrtool import units
from lrtool.errors import ScheduleError
from lrtool.schedules.base import Schedule, written
from lrtool.schedules.curve import Array, Binding
from lrtool.schedules.nested import AnySchedule, inside


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
        max_length=1000,
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
            with inside(f"segments.{i}"):
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
            with inside(f"segments.{i}"):
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
