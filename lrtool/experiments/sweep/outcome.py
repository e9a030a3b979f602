"""What a sweep keeps of a trial's trace: final values, and a curve of few points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lrtool.config.sweep.planner import PlannedTrial
from lrtool.engine.trials import Trace
from lrtool.experiments.final import final_values
from lrtool.runs.sweep.store import StoredTrial
from lrtool.status import Status

#: Points of a stored curve, and how many of them may be evaluations.
POINTS, _EVALUATIONS = 200, 100


def stored(planned: PlannedTrial, trace: Trace) -> StoredTrial:
    """What is kept of a trial that has ended; final values only if it finished."""
    return StoredTrial(
        planned.number, planned.variant, planned.settings, planned.config.seed, trace.status, trace.steps,
        float(trace.seconds.sum()), final_values(trace), curve(trace), trace.reason,
    )  # fmt: skip


def failed(planned: PlannedTrial, message: str) -> StoredTrial:
    """A trial that could not be trained."""
    return StoredTrial(
        planned.number, planned.variant, planned.settings, planned.config.seed, Status.FAILED, 0, 0.0,
        message=message,
    )  # fmt: skip


def curve(trace: Trace) -> dict[str, list[float]]:
    """At most 200 points: `step`, `lr` at it, mean `train_loss` since the point before, `val_loss` where measured."""
    if not trace.steps:
        return {}
    measured = {each.step: each.values.get("val_loss", np.nan) for each in trace.evaluations}
    marks = _marks(trace.steps, np.array(sorted(measured), dtype=np.int64))
    starts = np.concatenate([[0], marks[:-1]])
    # A diverged trial's last losses may be infinite, or overflow when added.
    with np.errstate(over="ignore", invalid="ignore"):
        means = np.add.reduceat(trace.train_loss[: marks[-1]], starts) / np.diff(np.append(starts, marks[-1]))
    return {
        "step": marks.astype(np.float64).tolist(),
        "lr": trace.lr[marks - 1].tolist(),
        "train_loss": means.tolist(),
        "val_loss": [float(measured.get(mark, np.nan)) for mark in marks.tolist()],
    }


def _marks(steps: int, evaluated: NDArray[np.int64]) -> NDArray[np.int64]:
    """Updates done at each point, rising: evaluations, the last of all, and others evenly in between."""
    evaluated = evaluated[(evaluated > 0) & (evaluated <= steps)]
    if len(evaluated) > _EVALUATIONS:
        evaluated = evaluated[np.linspace(0, len(evaluated) - 1, _EVALUATIONS).round().astype(np.int64)]
    count = min(steps, POINTS - len(evaluated))
    even = np.ceil(np.arange(1, count + 1) * steps / count).astype(np.int64)
    return np.union1d(evaluated, even)
