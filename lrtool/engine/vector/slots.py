"""A slot of a stack: a trial in training, with its curves as tables, its batches and its trace."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from lrtool.engine.batches import Batches
from lrtool.engine.recorder import Recorder
from lrtool.engine.trials import GRAD_NORMS, Recipe, Trace, Trial
from lrtool.status import Status


class Slot:
    """A trial in training: its curves as tables, its batches, its trace."""

    def __init__(self, number: int, trial: Trial, batches: Batches, recipe: Recipe) -> None:
        self.number, self.trial, self.step = number, trial, 0
        self._batches, self._many = batches, recipe.accumulate
        fixed = {**recipe.optimizer.hyperparameters(), **trial.hyperparameters}
        self.tables: dict[str, Any] = {name: np.full(trial.steps, value) for name, value in fixed.items()}
        self.curves = {name: curve(np.arange(trial.steps)) for name, curve in trial.curves.items()}
        self.tables.update(self.curves)
        names = [*(name for name in self.curves if name != "lr"), *GRAD_NORMS * recipe.record_grad_norm]
        rule = recipe.divergence_rule if recipe.stop_on_divergence else None
        self.recorder = Recorder(trial, names, rule, recipe.device)

    @property
    def trace(self) -> Trace:
        """What the trial produced so far."""
        return self.recorder.trace

    def until_due(self, eval_every: int) -> int:
        """Updates to the next evaluation or the end."""
        left = self.trial.steps - self.step
        return min(left, eval_every - self.step % eval_every) if eval_every else left

    def due(self, eval_every: int) -> bool:
        """Whether the trial is to be validated now."""
        at_end = self.step == self.trial.steps
        return self.trace.status is not Status.DIVERGED and (at_end or bool(eval_every and not self.step % eval_every))

    def rows(self, count: int) -> Tensor:
        """Sample indices of the next updates, (count, accumulate, batch)."""
        first = self.step * self._many
        return self._batches.range(first, count * self._many).view(count, self._many, -1)
