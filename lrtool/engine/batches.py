"""Batches of a trial: the indices of their samples, the samples themselves, and the loss of a model on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lrtool.errors import LrtoolError, UsageError
from lrtool.tasks.base import Task
from lrtool.tasks.failures import task_error
from lrtool.tasks.loading.draws import UNTRAINED, Draw
from lrtool.tasks.losses.base import describe
from lrtool.tasks.sources import Batch, BatchOrder, DatasetSource, Source, TensorSource


def index_device(source: Source, device: torch.device) -> torch.device:
    """Where a source wants its indices: one that fetches sample by sample reads them on the host."""
    return device if isinstance(source, TensorSource) else torch.device("cpu")


class Batches:
    """Sample indices of batch m = 0, 1, …, which goes on through the epochs; random access.

    `kept`: the latest epochs, so many, are at hand for whoever asks again.
    """

    def __init__(self, task: Task, seed: int, device: torch.device, kept: int = 1) -> None:
        if task.batches_per_epoch < 1:
            raise UsageError(
                f"a batch of {task.batch_size} does not fit {len(task.train)} training samples",
                where="data.batch_size",
                remedy=f"write at most {len(task.train)}" if len(task.train) else "give at least one training sample",
            )
        self._order = BatchOrder(seed, len(task.train), task.batch_size, task.weights, task.drop_last)
        self._device, self._kept = index_device(task.train, device), kept
        self._epochs: dict[int, Tensor] = {}
        self.per_epoch = self._order.per_epoch

    def __call__(self, m: int) -> Tensor:
        """Indices of batch m, shape (batch_size,), where the source wants it; an epoch is uploaded when it starts.

        Where the remainder of an epoch is not dropped, its last batch is shorter.
        """
        epoch, row = divmod(m, self._order.per_epoch)
        size = self._order.batch_size
        return self._samples(epoch)[row * size : (row + 1) * size]

    def range(self, first: int, count: int) -> Tensor:
        """Indices of batches first … first+count−1, shape (count, batch_size), where the source wants them.

        They must be of one size.
        """
        parts: list[Tensor] = []
        while count:
            epoch, row = divmod(first, self._order.per_epoch)
            parts.append(self._samples(epoch).reshape(-1, self._order.batch_size)[row : row + count])
            first, count = first + len(parts[-1]), count - len(parts[-1])
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _samples(self, epoch: int) -> Tensor:
        """An epoch's samples in order."""
        found = self._epochs.get(epoch)
        if found is None:
            found = torch.from_numpy(self._order.order(epoch)).to(self._device)
            if len(self._epochs) >= self._kept:
                del self._epochs[next(iter(self._epochs))]
            self._epochs[epoch] = found
        return found


def batch_loss(task: Task, model: nn.Module, batch: Batch) -> tuple[Tensor, Any]:
    """The loss of one batch (a scalar) and the model's output; raises TaskError where the user's code fails."""
    try:
        output = batch.forward(model)
    except LrtoolError:
        raise
    except Exception as error:
        raise task_error(error, f"the model's forward pass (inputs: {_shapes(batch.inputs)})") from error
    try:
        return task.loss_of(output, batch.target), output
    except LrtoolError:
        raise
    except Exception as error:
        raise task_error(error, f"the loss ({output_and_target(output, batch)})") from error


def take(source: Source, index: Tensor, draw: Draw = UNTRAINED) -> Batch:
    """The samples at these indices; raises TaskError where the data set fails."""
    try:
        # Only what is read sample by sample draws anything.
        return source.take(index, draw) if isinstance(source, DatasetSource) else source.take(index)
    except LrtoolError:
        raise
    except Exception as error:
        raise task_error(error, "taking samples from the data set") from error


def sequence_length(task: Task) -> int | None:
    """Tokens of a training sample; None where samples are no sequences of whole numbers, all of one length."""
    lengths = set()
    for number in range(min(2, len(task.train))):
        inputs = take(task.train, torch.tensor([number])).inputs
        parts = [inputs["input_ids"]] if isinstance(inputs, Mapping) and "input_ids" in inputs else inputs
        first = next(iter(parts.values() if isinstance(parts, Mapping) else parts), None)
        whole = isinstance(first, Tensor) and first.ndim == 2 and not first.dtype.is_floating_point
        lengths.add(first.shape[1] if whole and isinstance(first, Tensor) else None)
    return lengths.pop() if len(lengths) == 1 else None


def slices(size: int, length: int, device: torch.device) -> Iterator[Tensor]:
    """The indices 0 … size−1 in order, `length` at a time."""
    for start in range(0, size, length):
        yield torch.arange(start, min(start + length, size), device=device)


def output_and_target(output: Any, batch: Batch) -> str:
    """What a loss or metric was given, for messages."""
    return f"model output: {describe(output)}, target: {describe(batch.target)}"


def _shapes(inputs: Any) -> str:
    return ", ".join(describe(part) for part in (inputs.values() if isinstance(inputs, Mapping) else inputs))
