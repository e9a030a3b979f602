"""Gradient norms that a training has logged."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lrtool.errors import UsageError
from lrtool.runs.folder import RunFolder
from lrtool.runs.metrics import read_metrics

Array = NDArray[np.float64]

#: The column of each norm.
COLUMNS: dict[str, str] = {"l2": "grad_norm", "l1": "grad_norm_l1"}


def gradient_norms(run: RunFolder, norm: Literal["l2", "l1"] = "l2") -> Array | None:
    """The norm of every update's gradient, (updates,); None where the run has not logged it.

    Raises UsageError where the run is no training, or its norms are not finite.
    """
    if run.command not in ("train", "smoke"):
        raise UsageError(
            f"this is a {run.command or 'half-made'} run, but gradient norms are logged by trainings",
            where=str(run.path),
            remedy="give the folder of `lrtool train CONFIG --set train.grad_norm=true`",
        )
    values = read_metrics(run.path / "metrics.csv").get(COLUMNS[norm])
    if values is None or not values.size or np.isnan(values).all():
        return None
    if not np.isfinite(values).all():
        first = int(np.flatnonzero(~np.isfinite(values))[0])
        raise UsageError(
            f"the gradient norm of update {first} is {values[first]:g}",
            where=str(run.path),
            remedy="give a training that did not diverge",
        )
    return values


def no_norms(run: Path) -> UsageError:
    """What to say of a run without gradient norms that needs them."""
    return UsageError(
        "this run has logged no gradient norms",
        where=str(run),
        remedy="train again with --set train.grad_norm=true",
    )


def resampled(values: Array, steps: int) -> Array:
    """The same course over another number of updates."""
    if len(values) == steps:
        return values
    return np.interp((np.arange(steps) + 0.5) / steps, (np.arange(len(values)) + 0.5) / len(values), values)


def updates_per_epoch(run: RunFolder) -> int | None:
    """Updates of an epoch, as the metrics of a run say; None where they do not."""
    with suppress(UsageError):
        epochs = read_metrics(run.path / "metrics.csv")["epoch"]
        if epochs.size:
            return int((epochs == epochs[0]).sum())
    return None


def run_at(path: str | Path) -> RunFolder | None:
    """The run that a word of a command line names, where it names a folder; None otherwise."""
    place = Path(path)
    return RunFolder.open(place) if place.is_dir() or place.name == "latest" else None
