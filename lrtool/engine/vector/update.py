"""One optimizer step of every model of a stack, as a pure function of tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import grad_and_value, vmap

from lrtool.engine.batches import batch_loss
from lrtool.engine.trials import Recipe
from lrtool.engine.vector.draws import Draws, mixed
from lrtool.engine.vector.stack import Stack, StackState, Stateless, Tensors, optimizer_forms
from lrtool.optimizers.parts.layers import Parameters
from lrtool.tasks.base import Task
from lrtool.tasks.sources import Batch, TensorSource


class Update:
    """One update of every model of a stack, as a pure function of tensors, so that it can be traced whole.

    `random`: the model draws values in training, so they come from each trial's own stream (see `draws`).
    `unknown`: the first operator that drew and has no such form; `drawn`: the shapes of what the last batch drew.
    """

    def __init__(self, task: Task, recipe: Recipe, skeleton: nn.Module, random: bool) -> None:
        self.random = random
        self.unknown: str | None = None
        self.drawn: list[torch.Size] = []
        self._task, self._recipe, self.skeleton = task, recipe, skeleton
        self.trained = frozenset(name for name, p in skeleton.named_parameters() if p.requires_grad)
        self._forms = optimizer_forms(recipe, skeleton)
        self._placed = recipe.optimizer.placed(Parameters.of(skeleton))
        self._gradients = vmap(grad_and_value(self.loss, has_aux=True), randomness="different")

    def __call__(
        self, source: TensorSource, state: StackState, rows: Tensor, hyperparameters: Mapping[str, Tensor]
    ) -> tuple[StackState, Tensor, Tensor]:
        """The state after the update, losses (size,) and gradient norms before clipping, as `GRAD_NORMS`, (2, size).

        rows: indices of `source`, (accumulate, size, batch). hyperparameters: `lr` and the scheduled ones, (size,).
        """
        gradients, losses = None, None
        buffers, count = state.buffers, len(rows)
        for number, index in enumerate(rows.unbind()):
            keys = batch_keys(state.keys, state.steps, count, number) if self.random else None
            found, (loss, buffers) = self._one(state.parameters, buffers, gathered(source, index), keys)
            gradients = found if gradients is None else {name: gradients[name] + found[name] for name in found}
            losses = loss if losses is None else losses + loss
        assert gradients is not None and losses is not None
        if count > 1:
            gradients, losses = {name: grad / count for name, grad in gradients.items()}, losses / count
        gradients, norms = self._clipped(gradients)
        parameters, optimizer = self._updated(state, gradients, hyperparameters)
        return StackState(parameters, buffers, optimizer, state.steps + 1, state.keys), losses, norms

    def _one(
        self, parameters: Tensors, buffers: Tensors, batch: Batch, keys: Tensor | None
    ) -> tuple[Tensors, tuple[Tensor, Tensors]]:
        if keys is None:
            gradients, aside = self._gradients(parameters, buffers, batch.inputs, batch.target)
        else:
            with Draws(keys) as draws:
                gradients, aside = self._gradients(parameters, buffers, batch.inputs, batch.target)
            self.unknown, self.drawn = self.unknown or draws.unknown, draws.drawn
        return gradients, aside

    def loss(self, parameters: Tensors, buffers: Tensors, inputs: Any, target: Any) -> tuple[Tensor, Tensors]:
        """The loss of one model, and its buffers afterwards."""
        # Buffers are changed in place by the model (running statistics), so it gets copies of its own.
        own = {name: tensor.clone() for name, tensor in buffers.items()}
        model = Stateless(self.skeleton, {**parameters, **own})
        loss, _ = batch_loss(self._task, model, Batch(inputs, target))
        return loss, {name: model.tensors[name] for name in buffers}

    def _clipped(self, gradients: Tensors) -> tuple[Tensors, Tensor]:
        """Gradients within `clip_norm` over all of a model's parameters, and the norms before, (2, size)."""
        limit = self._recipe.clip_norm
        first = next(iter(gradients.values()))
        if limit is None and not self._recipe.record_grad_norm:
            return gradients, first.new_zeros(2, len(first))
        squares = torch.stack([grad.flatten(1).square().sum(1) for grad in gradients.values()])
        norm = squares.sum(0).sqrt()
        norms = torch.stack([norm, self._absolute(gradients, norm)])
        if limit is None:
            return gradients, norms
        scale = (limit / (norm + 1e-6)).clamp(max=1.0)
        return {name: grad * _along(scale, grad) for name, grad in gradients.items()}, norms

    def _absolute(self, gradients: Tensors, like: Tensor) -> Tensor:
        """The L1 norms, (size,); zeros where none are recorded."""
        if not self._recipe.record_grad_norm:
            return torch.zeros_like(like)
        return torch.stack([grad.flatten(1).abs().sum(1) for grad in gradients.values()]).sum(0)

    def _updated(
        self, state: StackState, gradients: Tensors, hyperparameters: Mapping[str, Tensor]
    ) -> tuple[Tensors, dict[str, Tensors]]:
        after: Tensors = {}
        states: dict[str, Tensors] = {}
        for name, param in state.parameters.items():
            h = {key: _along(value, param) for key, value in hyperparameters.items()}
            placed = self._placed[name]
            h["lr"] = h[placed.lr_column]
            if placed.lr_scale != 1:
                h["lr"] = h["lr"] * placed.lr_scale
            if placed.weight_decay is not None:
                h["weight_decay"] = torch.full_like(h["lr"], placed.weight_decay)
            after[name], states[name] = self._forms[name].update(
                param, gradients[name], state.optimizer[name], _along(state.steps, param), h
            )
        return after, states


def batch_keys(keys: Tensor, steps: Tensor, count: int, number: int) -> Tensor:
    """What batch `number` of the `count` of an update draws from, by the trials' keys and updates done, (size,)."""
    return mixed(keys ^ mixed((steps.to(torch.int64) * count + number).to(torch.int32)))


def gathered(source: TensorSource, rows: Tensor) -> Batch:
    """The samples at indices (size, batch) of data in memory, each tensor (size, batch, …)."""
    flat = rows.reshape(-1)

    def select(part: Tensor) -> Tensor:
        return part.index_select(0, flat).reshape(*rows.shape, *part.shape[1:])

    return Batch(tuple(select(part) for part in source.inputs), select(source.target))


def first_rows(task: Task, recipe: Recipe, size: int) -> Tensor:
    """Rows for an update that is only tried: the first samples for every model, (accumulate, size, batch)."""
    return torch.arange(task.batch_size, device=recipe.device).repeat(recipe.accumulate, size, 1)


def trial_update(update: Update, task: Task, recipe: Recipe, size: int) -> Callable[[], None]:
    """One update of a scratch stack, to try it, or to see how long it takes."""
    stack = Stack(update.skeleton, recipe, size)
    source = task.train
    assert isinstance(source, TensorSource)
    rows = first_rows(task, recipe, size)
    h = {name: torch.zeros(size, device=recipe.device) for name in recipe.per_update}

    def one() -> None:
        with torch.no_grad():
            stack.state = update(source, stack.state, rows, h)[0]

    return one


def _along(values: Tensor, like: Tensor) -> Tensor:
    """Per-model values (size,) shaped to multiply a stacked tensor (size, …)."""
    return values.to(like.dtype).reshape(-1, *[1] * (like.ndim - 1))
