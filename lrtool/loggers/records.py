"""What loggers are told: rows of measurements, whole trials of a sweep, and how it all ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrtool.status import Status

Array = NDArray[np.float64]


@dataclass(frozen=True)
class About:
    """What a logger is told of a run when it begins; the config is without secrets.

    `name`: the config's; `text`: the config as YAML. `several`: whether its trials become runs of their own.
    """

    folder: Path
    name: str
    command: str
    config: Mapping[str, Any]
    text: str
    several: bool = False

    @property
    def title(self) -> str:
        """What the run is called where other runs are, too."""
        return f"{self.name} {self.folder.name}"


class Point(NamedTuple):
    """Values at an update, by name; `time`: when they were measured, in seconds since 1970."""

    step: int
    time: float
    values: dict[str, float]


@dataclass(frozen=True)
class Rows:
    """Measurements of several updates: a column of values for each name, NaN where nothing was measured.

    `lasting` names are measured at every update: a NaN of theirs is what was measured.
    """

    steps: NDArray[np.int64]
    columns: Mapping[str, Array]
    time: float
    lasting: frozenset[str] = frozenset()
    is_evaluation: bool = False

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return len(self.steps) * (1 + len(self.columns))


@dataclass(frozen=True)
class EndedTrial:
    """A trial of a sweep that has ended: what was set for it, what it measured, and its curve of few points.

    `curve` has the column `step`, the number of the update, beside the measured ones.
    """

    number: int
    name: str
    settings: Mapping[str, Any]
    status: Status
    message: str
    values: Mapping[str, float]
    curve: Mapping[str, Array] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many numbers it holds, about."""
        return 20 + sum(len(column) for column in self.curve.values())

    def points(self, time: float) -> list[Point]:
        """The curve's points."""
        columns = {name: column for name, column in self.curve.items() if name != "step"}
        steps = np.asarray(self.curve.get("step", []), dtype=np.int64)
        return merged([Rows(steps, columns, time, frozenset({"train_loss"}))])


@dataclass(frozen=True)
class Ending:
    """How a command ended: its summary, by dotted names, and the files of its plots (PNG)."""

    status: Status
    summary: Mapping[str, Any]
    plots: tuple[Path, ...] = ()
    size: int = 0


Message = Rows | EndedTrial | Ending


def merged(many: Iterable[Rows]) -> list[Point]:
    """The rows as points, those of one update together, in the order of updates."""
    points: dict[int, Point] = {}
    for rows in many:
        names, columns = list(rows.columns), [column.tolist() for column in rows.columns.values()]
        lasting = [name in rows.lasting for name in names]
        for step, *values in zip(rows.steps.tolist(), *columns, strict=True):
            point = points.get(step)
            if point is None:
                point = points[step] = Point(step, rows.time, {})
            for name, value, kept in zip(names, values, lasting, strict=True):
                # What was not measured is left out: only NaN differs from itself.
                if kept or value == value:
                    point.values[name] = value
    return [points[step] for step in sorted(points) if points[step].values]
