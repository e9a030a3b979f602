"""A trial trained by the loop engine's own code for a few updates, and what every update saw and did."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lrtool.engine.batches import slices
from lrtool.engine.evaluate import batch_values
from lrtool.engine.feeding.base import Feed
from lrtool.engine.loop.training import Training
from lrtool.engine.trials import Recipe, Trial
from lrtool.engine.vector.draws import Draws
from lrtool.engine.vector.update import batch_keys
from lrtool.engine.vector.validation import validation_keys
from lrtool.schedules import Curve
from lrtool.tasks.base import Task
from lrtool.tasks.sources import Batch, TensorSource

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Moment:
    """One followed update: the tensors before it, its loss and gradients, the tensors after it.

    `gradients` lacks what the loss did not depend on. They are those before clipping. `drawn`: the shapes of what the
    last batch drew.
    """

    parameters: Tensors
    buffers: Tensors
    loss: Tensor
    gradients: Tensors
    parameters_after: Tensors
    buffers_after: Tensors
    drawn: list[torch.Size]


class _Keyed(Feed):
    """The batches of another feed; before each of them the model's draws begin anew."""

    def __init__(self, own: Feed, draws: Draws, key: Tensor, count: int) -> None:
        self._own, self._draws, self._key, self._count = own, draws, key, count

    def __call__(self, m: int) -> tuple[Batch, float]:
        update, number = divmod(m, self._count)
        self._draws.begin(batch_keys(self._key, torch.full_like(self._key, update), self._count, number))
        return self._own(m)


class Followed(Training):
    """A trial trained under a constant LR, an update at a time, each of them noted.

    `key` (1,): what the model draws are the values that it would draw in a stack; None: from torch's generator.
    """

    def __init__(self, task: Task, seed: int, recipe: Recipe, updates: int, key: Tensor | None = None) -> None:
        lr = recipe.optimizer.lr
        curve = Curve(lambda t: np.full_like(t, lr), updates, lr)
        quiet = replace(recipe, stop_on_divergence=False, record_grad_norm=False)
        super().__init__(task, Trial(seed, updates, {"lr": curve}), quiet)
        self._key = key
        self.draws = Draws(key, alone=True) if key is not None else None
        self._found: tuple[Tensor, dict[str, Tensor]] | None = None
        if self.draws is not None and key is not None:
            self._feed = _Keyed(self._feed, self.draws, key, recipe.accumulate)

    def update(self) -> Moment:
        """Do the next one."""
        parameters, buffers = self.tensors()
        self.advance(stop_every=1)
        assert self._found is not None
        return Moment(parameters, buffers, *self._found, *self.tensors(), self.draws.drawn if self.draws else [])

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Copies of parameters and buffers, as they are."""
        named = self.model.named_parameters(), self.model.named_buffers()
        parameters, buffers = ({name: t.detach().clone() for name, t in each} for each in named)
        return parameters, buffers

    def validated(self) -> Tensor:
        """Loss and metrics, weighted by samples, (1 + metrics,); random states are left as the task leaves them."""
        source = self.task.val
        assert isinstance(source, TensorSource)
        self.model.eval()
        with torch.no_grad():
            total = torch.zeros(1 + len(self.task.metrics), dtype=torch.float64)
            for number, index in enumerate(slices(len(source), 2 * self.task.batch_size, source.target.device)):
                if self.draws is not None and self._key is not None:
                    steps = torch.full_like(self._key, self.step)
                    self.draws.begin(validation_keys(self._key, steps, number))
                with self._hashed():
                    values = batch_values(self.task, self.model, source.take(index), contextlib.nullcontext)
                total += values.cpu().double() * (len(index) / len(source))
        self.model.train()
        return total

    @contextlib.contextmanager
    def _hashed(self) -> Iterator[None]:
        with self.draws if self.draws is not None else contextlib.nullcontext():
            yield

    def _gradients(self) -> Tensor:
        with self._hashed():
            loss = super()._gradients()
        named = self.model.named_parameters()
        self._found = loss, {name: p.grad.detach().clone() for name, p in named if p.grad is not None}
        return loss
