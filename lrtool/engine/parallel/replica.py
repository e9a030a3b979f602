"""The model of one process: by itself, one of equal copies (DDP), or a shard (FSDP2); what gives a batch's loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from lrtool.engine.batches import batch_loss
from lrtool.engine.parallel.norms import SyncedNorms, has_norms
from lrtool.engine.parallel.ranks import Ranks
from lrtool.engine.parallel.sharding import shard
from lrtool.tasks.base import Task
from lrtool.tasks.sources import Batch

_NOTHING: AbstractContextManager[None] = nullcontext()


class Replica:
    """Gives the loss of a batch; its gradients, after the backward pass, are those of the whole batch's loss."""

    def __init__(self, task: Task, model: nn.Module) -> None:
        self._task, self._model = task, model

    def loss(self, batch: Batch, factor: float) -> Tensor:
        """The mean loss of this process's samples times `factor`: the mean of that over the processes is the loss."""
        return batch_loss(self._task, self._model, batch)[0]

    def part(self, last: bool) -> AbstractContextManager[None]:
        """Around forward and backward of one of an update's batches; gradients are exchanged after the last."""
        return _NOTHING


class _Losses(nn.Module):
    """A model with its loss on top, so that what the forward pass gives is one number, whatever the model gives."""

    def __init__(self, task: Task, model: nn.Module, ranks: Ranks) -> None:
        super().__init__()
        self.model, self._task, self._ranks = model, task, ranks
        self._weight = _weight(task)

    def forward(self, batch: Batch, factor: float) -> Tensor:
        loss, output = batch_loss(self._task, self.model, batch)
        if self._weight is None:
            return loss if factor == 1 else loss * factor
        # A mean over what counts, not over samples: each process's share is what counts there.
        own = torch.as_tensor(self._weight(output, batch.target), dtype=loss.dtype, device=loss.device).detach()
        share = self._ranks.size * own / self._ranks.total(own.clone())
        # Where nothing counts the mean is 0/0 and the share 0.
        return torch.where(own > 0, loss, loss.nan_to_num()) * share


def _weight(task: Task) -> Any:
    """What a batch's loss is divided by, a function of output and target; None where that is its number of samples."""
    loss: Any = task.loss
    even, target = getattr(loss, "even", None), getattr(task.train, "target", None)
    if even is not None and isinstance(target, Tensor) and even(target):
        return None
    return getattr(loss, "weight", None)


class _Together(Replica):
    """What copies and shards share: the division of a loss, and batch norm over the whole batch."""

    def __init__(self, task: Task, model: nn.Module, ranks: Ranks) -> None:
        super().__init__(task, model)
        self._losses: Any = _Losses(task, model, ranks)
        self._norms = SyncedNorms(ranks) if has_norms(model) else None

    def loss(self, batch: Batch, factor: float) -> Tensor:
        with self._norms or _NOTHING:
            loss: Tensor = self._losses(batch, factor)
        return loss


class Copy(_Together):
    """One of equal copies: gradients are averaged while they come (DistributedDataParallel)."""

    def __init__(self, task: Task, model: nn.Module, ranks: Ranks) -> None:
        super().__init__(task, model, ranks)
        # It may use some parameters in one batch and not in another; a single process has no trouble with that.
        self._losses = nn.parallel.DistributedDataParallel(
            self._losses, process_group=ranks.group, find_unused_parameters=True
        )

    def part(self, last: bool) -> AbstractContextManager[None]:
        """Gradients of all but the last batch stay in this process."""
        return _NOTHING if last else self._losses.no_sync()


class Shard(_Together):
    """A model whose parameters are spread over the processes, brought together block by block (FSDP2)."""

    @contextmanager
    def part(self, last: bool) -> Iterator[None]:
        """Gradients of all but the last batch stay in this process."""
        model: Any = self._model
        model.set_requires_gradient_sync(last)
        yield


def placed(model: nn.Module, device: torch.device, ranks: Ranks) -> nn.Module:
    """The model on the device, whole or, of a sharded one, this process's part."""
    return shard(model, device, ranks) if ranks.sharded and not ranks.alone else model.to(device)


def replica(task: Task, model: nn.Module, ranks: Ranks) -> Replica:
    """The model of this process."""
    if ranks.alone:
        return Replica(task, model)
    return (Shard if ranks.sharded else Copy)(task, model, ranks)
