"""A trial as a sweep keeps it, and as a row of `sweep.sqlite`."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np

from lrtool.status import Status

#: Bytes that a curve inflates to at most: 200 points of some columns are far fewer.
_MOST_BYTES = 16 * 2**20

#: The columns of the table `trials`, in order.
COLUMNS = "number, variant, settings, seed, status, steps, seconds, final, columns, curve, message, checksum"
#: What is written of a trial that waits, before the number of the rung.
_RUNG = "rung-"


class Progress(NamedTuple):
    """How far a trial is; `rung`: the one (1, 2 …) that it has got through, where it waits for its rivals."""

    status: Status
    rung: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `text` gave; ValueError where it is no status."""
        if text.startswith(_RUNG):
            return cls(Status.WAITING, int(text.removeprefix(_RUNG)))
        return cls(Status(text))

    @property
    def text(self) -> str:
        """As files have it."""
        return self.status.value if self.rung is None else f"{_RUNG}{self.rung}"


@dataclass(frozen=True)
class StoredTrial:
    """A trial that has ended, or waits.

    `settings`: the dotted keys that vary in its sweep, with their values as written. `message` says why it diverged,
    failed or was pruned; `rung` how far it has got while it waits. `steps` updates took `seconds`. `values`: the final
    `train_loss` (mean of the last 10% of updates), `val_loss` and each `val_<metric>`; what was not measured or is not
    finite is left out. `curve`: columns of equal length, at most 200 points: `step` (updates done), `lr`, `train_loss`
    (mean since the point before), `val_loss` (NaN where not measured).
    """

    number: int
    variant: str
    settings: dict[str, Any]
    seed: int | None
    status: Status
    steps: int
    seconds: float
    values: dict[str, float] = field(default_factory=dict)
    curve: dict[str, list[float]] = field(default_factory=dict)
    message: str = ""
    rung: int | None = None

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return Progress(self.status, self.rung)


def row_of(trial: StoredTrial) -> tuple[Any, ...]:
    """The values of a trial's columns."""
    curve = np.array([trial.curve[name] for name in trial.curve], dtype="<f8")
    values = {name: value for name, value in trial.values.items() if math.isfinite(value)}
    row = (
        trial.number, trial.variant, json.dumps(trial.settings), trial.seed, trial.progress.text, int(trial.steps),
        float(trial.seconds), json.dumps(values), json.dumps(list(trial.curve)), zlib.compress(curve.tobytes(), 1),
        trial.message,
    )  # fmt: skip
    return (*row, _checksum(row))


def _checksum(row: Sequence[Any]) -> int:
    """SQLite itself does not notice a changed byte inside a value."""
    return zlib.crc32(repr(tuple(row)).encode("utf-8", "surrogatepass"))


def _inflated(data: bytes) -> bytes:
    """What was compressed; raises ValueError where it is more than any curve."""
    inflating = zlib.decompressobj()
    try:
        found = inflating.decompress(data, _MOST_BYTES)
    except zlib.error:
        raise ValueError("the curve is damaged") from None
    if not inflating.eof:
        raise ValueError("the curve is too long")
    return found


def trial_of(row: Sequence[Any]) -> StoredTrial:
    """The trial of a row; raises ValueError where the row was damaged."""
    if _checksum(row[:-1]) != row[-1]:
        raise ValueError("the checksum is wrong")
    number, variant, settings, seed, status, steps, seconds, final, columns, curve, message, _ = row
    names = json.loads(columns)
    table = np.frombuffer(_inflated(curve), dtype="<f8").reshape(len(names), -1 if names else 0).tolist()
    curves = dict(zip(names, table, strict=True))
    status, rung = Progress.parse(status)
    return StoredTrial(
        number, variant, json.loads(settings), seed, status, steps, seconds, json.loads(final), curves, message, rung
    )
