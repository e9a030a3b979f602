"""Going on with a trial: which of its settings may be others than before, and what is said of those that are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from lrtool.engine.trials import GRAD_NORMS, Array, Recipe, Trial
from lrtool.errors import UsageError
from lrtool.tasks.base import Task

#: What checkpoints of older versions do not say, and was so.
_BEFORE = {"drop_last": True}
#: Columns that older versions did not record.
_LATER = {GRAD_NORMS[1]}
#: Of two LRs that are computed in other ways, the same one.
SAME_LR = 1e-6


def identity(
    task: Task, trial: Trial, recipe: Recipe, fixed: Mapping[str, float], columns: Collection[str]
) -> dict[str, Any]:
    """What must be the same for a checkpoint to be continued (as JSON gives it back)."""
    return {
        "seed": trial.seed,
        "steps": trial.steps,
        "hyperparameters": {name: float(value) for name, value in fixed.items()},
        "columns": sorted(columns),
        "batch_size": task.batch_size,
        "training_samples": len(task.train),
        "drop_last": task.drop_last,
        "accumulate": recipe.accumulate,
        "precision": recipe.precision,
    }


def check_identity(then: Mapping[str, Any], now: Mapping[str, Any], step: int, where: str) -> None:
    """Raise UsageError where a trial after `step` updates cannot go on under other settings.

    The number of updates may be another: a curve is a pure function of the step. Whatever decides which batch comes
    next, or what the optimizer remembers, may not.
    """
    for key, value in now.items():
        was = then.get(key, _BEFORE.get(key))
        if key == "columns" and set(value) - set(was or ()) == _LATER:
            was = value
        if key == "steps":
            _check_length(int(was or 0), int(value), step, where)
        elif was != value:
            raise UsageError(
                f"the checkpoint was made with {key} {was!r}, but this run has {value!r}",
                where=where,
                remedy="resume with the config that the checkpoint was made with, or start a new run from these"
                " weights with --init-from",
            )


def _check_length(then: int, now: int, step: int, where: str) -> None:
    if now != then and now <= step:
        raise UsageError(
            f"the checkpoint was made after {step} updates of {then}, but this run has {now} in all",
            where=where,
            remedy="write a train.duration that is longer than what is done",
        )


def other_curve(length: int, used: Array, lr: Array) -> list[str]:
    """What is said where a trial goes on on another curve than it began on; nothing where it is the same.

    `length`: how many updates it was to have, `used`: the LRs of those that are done, `lr`: those of all updates on the
    curve that it follows from now on.
    """
    at, steps = len(used), len(lr)
    if length == steps and np.allclose(used, lr[:at], rtol=SAME_LR, atol=0):
        return []
    last = f"; update {at - 1} ran at {used[-1]:.4g}" if at else ""
    on = f"the curve of {steps} updates, not of {length}" if length != steps else "another curve than before"
    return [f"from update {at} on the LR follows {on}: it goes on at {lr[at]:.4g}{last}"]
