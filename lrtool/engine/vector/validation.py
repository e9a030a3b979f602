"""Validation of every model of a stack at once."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.func import vmap

from lrtool.engine.batches import batch_loss, slices
from lrtool.engine.device import released
from lrtool.engine.vector.draws import Draws, mixed
from lrtool.engine.vector.stack import Stack, Stateless, Tensors
from lrtool.tasks.base import Task
from lrtool.tasks.failures import ran_out_of_memory
from lrtool.tasks.sources import Batch, TensorSource


class Validation:
    """Losses and metrics of every model of a stack over the validation data.

    `random`: the model draws values in training, and may in validation; they come from each trial's own stream.
    """

    def __init__(self, task: Task, skeleton: nn.Module, random: bool) -> None:
        self._task, self._skeleton, self._random = task, skeleton, random

    def __call__(self, stack: Stack) -> list[dict[str, float]]:
        """`val_loss` and every metric as `val_<name>`, per model: means over the samples.

        Where memory runs out, one half of the stack is validated after the other.
        """
        try:
            return self._of(stack)
        except Exception as error:
            if stack.size == 1 or not ran_out_of_memory(error):
                raise
        released(stack.steps.device)
        half = stack.size // 2
        return [*self(stack.part(0, half)), *self(stack.part(half, stack.size))]

    def _of(self, stack: Stack) -> list[dict[str, float]]:
        source, size = self._task.val, 2 * self._task.batch_size
        assert isinstance(source, TensorSource)
        self._skeleton.eval()
        try:
            with torch.no_grad():
                rows = []
                for number, index in enumerate(slices(len(source), size, source.target.device)):
                    with self._draws(stack, number):
                        values = self._values(stack, source.take(index))
                    rows.append(values * (len(index) / len(source)))
                table = torch.stack(rows).sum(0).cpu().tolist()
        finally:
            self._skeleton.train()
        return [self._task.evaluation(row) for row in table]

    def _draws(self, stack: Stack, number: int) -> AbstractContextManager[object]:
        return Draws(validation_keys(stack.keys, stack.steps, number)) if self._random else nullcontext()

    def _values(self, stack: Stack, batch: Batch) -> Tensor:
        """Loss and metrics of one batch, shape (size, 1 + metrics), float64."""

        def one(parameters: Tensors, buffers: Tensors) -> Tensor:
            # A gradient level takes fused layers (GRU) apart, which vmap alone has no rule for.
            def measured(given: Tensors) -> Tensor:
                model = Stateless(self._skeleton, {**given, **buffers})
                loss, output = batch_loss(self._task, model, batch)
                metrics = [metric.per_sample(output, batch.target) for metric in self._task.metrics.values()]
                return torch.stack([loss, *(values.to(loss.dtype).mean() for values in metrics)])

            values: Tensor = torch.func.vjp(measured, parameters)[0]
            return values

        return vmap(one, randomness="different")(stack.parameters, stack.buffers).double()


def validation_keys(keys: Tensor, steps: Tensor, number: int) -> Tensor:
    """What a batch of a validation draws from: another stream than any update's."""
    return mixed(mixed(keys ^ mixed(steps.to(torch.int32))) ^ mixed(torch.full_like(keys, number)))
