"""A run and its trials as the report reads them from a run folder: plain data, whatever state the folder is in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a run.

    `group`: what it shares with the other seeds of its variant. `kind`: `ramp` for a trial of a range test, whose LR
    rises all the way, `short training` for the others of range tests and tunes, else `training`. `settings`: dotted
    keys of the config. `values`: final losses and metrics. `curve`: `step` (updates done), `lr`, `train_loss` and what
    else was measured, each (rows,), NaN where not.
    """

    number: int
    group: str
    kind: str
    seed: int | None
    status: str
    steps: int
    seconds: float
    settings: Mapping[str, Any] = field(repr=False)
    values: Mapping[str, float] = field(repr=False)
    curve: Mapping[str, Array] = field(repr=False)
    message: str = ""


@dataclass(frozen=True)
class RunRecord:
    """One run folder: `summary`, `config`, `environment` as they are on disk, empty where they cannot be read.

    `status`: that of the summary, or `no summary` for a run that is still going, or was stopped. `higher`: of each
    metric, whether more of it is better. `notes`: what a reader should know about the folder.
    """

    path: Path
    name: str
    command: str
    status: str
    summary: Mapping[str, Any] = field(repr=False)
    config: Mapping[str, Any] = field(repr=False)
    environment: Mapping[str, Any] = field(repr=False)
    trials: Sequence[TrialRecord] = field(repr=False)
    higher: Mapping[str, bool] = field(repr=False)
    notes: Sequence[str] = ()

    @property
    def label(self) -> str:
        """Name and folder, short."""
        return f"{self.name}/{self.path.name}"

    @property
    def flat(self) -> dict[str, Any]:
        """The config by dotted keys; of a sweep, that of its base."""
        base = self.config.get("base")
        return dict(flattened(base if isinstance(base, Mapping) else self.config))


def flattened(value: Any, key: str = "") -> list[tuple[str, Any]]:
    """Nested mappings as dotted keys and values; lists are values.

    >>> flattened({"a": {"b": 1, "c": [2]}, "d": None})
    [('a.b', 1), ('a.c', [2]), ('d', None)]
    """
    if not isinstance(value, Mapping) or not value:
        return [(key, value)] if key else []
    return [pair for name, inner in value.items() for pair in flattened(inner, f"{key}.{name}" if key else str(name))]
