"""An amount of training: so many trials, updates and validations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from lrtool.engine.trials import Recipe, Trial
from lrtool.tasks.base import Task


class Amount(NamedTuple):
    """An amount of training: so many trials, of so many updates and so many validations each."""

    trials: int
    updates: float
    validations: float

    @classmethod
    def of(cls, task: Task, trials: Sequence[Trial], recipe: Recipe) -> Amount:
        """The amount of these trials; of different lengths, their mean."""
        updates = sum(trial.steps for trial in trials) / max(1, len(trials))
        return cls(len(trials), updates, validations(task, math.ceil(updates), recipe.eval_every))


def validations(task: Task, steps: int, eval_every: int) -> int:
    """How often a trial of so many updates is validated: every so many (0: never on the way), and at the end."""
    if task.val is None:
        return 0
    return math.ceil(steps / eval_every) if eval_every else 1
