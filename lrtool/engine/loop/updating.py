"""The updates of one trial: its model, optimizer, batches and precision; gradients, their norms, and clipping."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lrtool.engine import rng
from lrtool.engine.batches import Batches
from lrtool.engine.feeding.choice import feed
from lrtool.engine.loop.precision import Precision
from lrtool.engine.parallel.dividing import check_divides
from lrtool.engine.parallel.ranks import Ranks
from lrtool.engine.parallel.replica import placed, replica
from lrtool.engine.parallel.sharding import whole
from lrtool.engine.trials import Recipe, Trial
from lrtool.errors import LrtoolError
from lrtool.tasks.base import Task, seeded_model
from lrtool.tasks.failures import guarded, task_error
from lrtool.tasks.losses.base import check_loss


class Updating:
    """What makes an update, `step` of them so far; `task`'s sources are on the recipe's device already."""

    def __init__(self, task: Task, trial: Trial, recipe: Recipe, ranks: Ranks) -> None:
        self.task, self.trial, self.recipe, self._ranks = task, trial, recipe, ranks
        self.step, self._checked = 0, False
        self._feed = feed(task, trial.seed, recipe.device, ranks.part, ranks.alone)
        rng.seed_training(trial.seed, recipe.device)
        with guarded("building the model", "model"):
            self.model: nn.Module = placed(seeded_model(task, trial.seed), recipe.device, ranks).train()
        self._parameters = [p for p in self.model.parameters() if p.requires_grad]
        self._optimizer = recipe.optimizer.build(self.model)
        self._precision = Precision(recipe.precision, recipe.device, self._optimizer)
        if not ranks.alone:
            check_divides(task, self.model, Batches(task, trial.seed, recipe.device)(0), ranks)
        self._replica = replica(task, self.model, ranks)

    def _update(self) -> tuple[Tensor, Tensor | None, bool]:
        """The loss and gradient norms of update `step`, on the device, and whether the parameters moved."""
        try:
            loss = self._gradients()
            norm = self._clip()
            stepped = self._precision.step()
            # What optimizer.zero_grad does, without the profiler's bookkeeping around it.
            for parameter in self._parameters:
                parameter.grad = None
        except Exception as error:
            if self._ranks.is_of_the_connection(error):
                raise self._ranks.lost(error) from error
            if isinstance(error, LrtoolError):
                raise
            raise task_error(error, "the backward pass or the optimizer's update") from error
        return loss, norm, stepped

    def _gradients(self) -> Tensor:
        """Gradients of the mean over the update's batches; gives that mean, detached."""
        count = self.recipe.accumulate
        total: Tensor | None = None
        self._feed.passed(self.step * count)
        self._ranks.reseed(self.trial.seed, self.step, self.recipe.device)
        for m in range(self.step * count, (self.step + 1) * count):
            batch, factor = self._feed(m)
            with self._replica.part(last=(m + 1) % count == 0):
                with self._precision.autocast():
                    loss = self._replica.loss(batch, factor)
                if not self._checked:
                    check_loss(loss)
                    self._checked = True
                loss = loss if count == 1 else loss / count
                self._precision.backward(loss)
            total = loss.detach() if total is None else total + loss.detach()
        assert total is not None
        return total

    def _clip(self) -> Tensor | None:
        """Clip the gradient's global norm; gives the norms before, as `GRAD_NORMS`, where they are recorded."""
        limit, wanted = self.recipe.clip_norm, self.recipe.record_grad_norm
        if limit is None and not wanted:
            return None
        self._precision.unscale()
        return gradient_norms(self._parameters, limit, wanted)


def clipped_norm(parameters: Sequence[nn.Parameter], limit: float | None) -> Tensor:
    """The gradients' global norm before they are clipped to `limit` (None: they stay)."""
    sparse = [p for p in parameters if p.grad is not None and p.grad.is_sparse]
    if limit is not None and not sparse:
        return nn.utils.clip_grad_norm_(parameters, limit)
    # torch knows no norm of a sparse tensor; what was looked up twice in a batch must be added up first.
    norm = nn.utils.get_total_norm([_values(p.grad) for p in parameters if p.grad is not None])
    if limit is not None:
        nn.utils.clip_grads_with_norm_([p for p in parameters if p.grad is None or not p.grad.is_sparse], limit, norm)
        scale = (limit / (norm + 1e-6)).clamp(max=1.0)
        for parameter in sparse:
            if parameter.grad is not None:
                parameter.grad = parameter.grad * scale
    return norm


def gradient_norms(parameters: Sequence[nn.Parameter], limit: float | None, wanted: bool = True) -> Tensor | None:
    """Clip to `limit` (None: not at all); gives the L2 and L1 norm before, (2,), on their device, where `wanted`."""
    if not wanted:
        clipped_norm(parameters, limit)
        return None
    absolute = nn.utils.get_total_norm([_values(p.grad) for p in parameters if p.grad is not None], norm_type=1.0)
    # Where a process has only its part of the parameters, norms are of all.
    return torch.stack([whole(clipped_norm(parameters, limit)), whole(absolute)])


def _values(gradient: Tensor) -> Tensor:
    return gradient.coalesce().values() if gradient.is_sparse else gradient
