"""The critical LR of a trial: a line search along the optimizer's own updates, at the first of a short training.

It holds one copy of the weights beside what training holds anyway: the gradients' place takes the direction.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from lrtool.analysis.search.critical_lr import CriticalLook, CriticalSearch
from lrtool.engine import rng
from lrtool.engine.batches import batch_loss
from lrtool.engine.device import intra_threads, repeatable
from lrtool.engine.loop.precision import MAX_SKIPS
from lrtool.engine.loop.threads import worthwhile_threads
from lrtool.engine.loop.training import Training
from lrtool.engine.recorder import rows_of
from lrtool.engine.trials import Recipe, Trial
from lrtool.tasks.base import Task

#: Random states, as `rng.capture` gives them.
_States = Mapping[str, Tensor]


def critical_looks(
    task: Task, trial: Trial, recipe: Recipe, at: Collection[int], start: float | None = None
) -> list[CriticalLook]:
    """The critical LR at these updates of a trial, which is trained up to the last of them; none after it diverged.

    η_c = the smallest η at which L(θ + η·u) > L(θ), by forward passes on the update's own batches

    u is what the optimizer adds to the weights, per unit of LR: preconditioning, momentum, weight decay, clipping and
    the LRs of groups included. θ + η·u is where the update would arrive, for an optimizer whose update is in
    proportion to its LR; else (Adafactor bounds it, schedule-free optimizers weigh averages by it) where it would if it
    were so. `start`: where the first search begins; None: the trial's LR. Raises as an engine does.

    Source: arXiv:2601.16979, there as the critical sharpness λ_c = 2/η_c.
    """
    # Nothing here may end a trial but a loss that is not finite.
    quiet = replace(recipe, plateau=None, eval_every=0, record_grad_norm=False)
    with rng.preserved(recipe.device), repeatable(recipe.device):
        training = _Searched(task.to(recipe.device), trial, quiet)
        with intra_threads(worthwhile_threads(task, training.model, recipe.device)):
            return list(training.looks(at, start))


class _Searched(Training):
    """A training that stops at some updates to look how far they could go."""

    def looks(self, at: Collection[int], start: float | None) -> Iterator[CriticalLook]:
        tables = {name: curve(np.arange(max(at) + 1)) for name, curve in self.trial.curves.items()}
        for lr, values in rows_of(tables, self._fixed):
            self.recipe.optimizer.apply(self._optimizer, lr, values)
            if self.step in at:
                found, loss = self._look(lr, start or lr)
                start = found.lr or start
                yield found
            else:
                loss = float(self._update()[0])
            self.step += 1
            if not math.isfinite(loss):
                return

    def _look(self, lr: float, start: float) -> tuple[CriticalLook, float]:
        """What is critical at this update, which is done with `lr`, and the loss before it."""
        drawn = rng.capture(self.recipe.device)
        before = [p.detach().clone() for p in self._parameters]
        # A loss scale that is too large moves nothing, and is halved.
        for _ in range(MAX_SKIPS):
            rng.restore(drawn, self.recipe.device)
            loss = float(self._gradients())
            self._clip()
            if self._precision.step() or not math.isfinite(loss):
                break
            for parameter in self._parameters:
                parameter.grad = None
        for parameter, old in zip(self._parameters, before, strict=True):
            _set_direction(parameter, old, lr)
        with _buffers_kept(self.model), rng.preserved(self.recipe.device):
            search = CriticalSearch(start, self._loss_at(before, 0.0, drawn), self._rounding)
            while (wanted := search.wanted()) is not None:
                search.tell(self._loss_at(before, wanted, drawn))
        self._move(before, lr)
        for parameter in self._parameters:
            parameter.grad = None
        estimate = search.estimate()
        critical = estimate.value if estimate is not None else None
        return CriticalLook(self.trial.seed, self.step, critical, search.passes), loss

    @property
    def _rounding(self) -> float:
        return float(torch.finfo(self._precision.dtype or torch.float32).eps)

    @torch.no_grad()
    def _loss_at(self, before: list[Tensor], lr: float, drawn: _States) -> float:
        """The loss of this update's batches after a step of `lr`, with what the update itself drew."""
        self._move(before, lr)
        rng.restore(drawn, self.recipe.device)
        count, total = self.recipe.accumulate, 0.0
        for m in range(self.step * count, (self.step + 1) * count):
            batch, _ = self._feed(m)
            with self._precision.autocast():
                total += float(batch_loss(self.task, self.model, batch)[0]) / count
        return total

    @torch.no_grad()
    def _move(self, before: list[Tensor], lr: float) -> None:
        """Weights: those before the update and so many times its direction, exactly those before for 0."""
        for parameter, old in zip(self._parameters, before, strict=True):
            parameter.copy_(old)
            if lr and parameter.grad is not None:
                parameter.add_(parameter.grad, alpha=lr)


@torch.no_grad()
def _set_direction(parameter: nn.Parameter, before: Tensor, lr: float) -> None:
    """Put what an update added, per unit of LR, where its gradient was, which nobody needs any more."""
    gradient = parameter.grad
    if gradient is None:
        return
    if gradient.layout is not torch.strided:  # of an embedding with sparse gradients
        parameter.grad = gradient = torch.empty_like(parameter)
    torch.sub(parameter, before, out=gradient)
    gradient.div_(lr)


@contextmanager
def _buffers_kept(model: nn.Module) -> Iterator[None]:
    """Buffers, such as the running statistics of batch norm, are afterwards as they were."""
    kept = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, old in kept:
                buffer.copy_(old)
