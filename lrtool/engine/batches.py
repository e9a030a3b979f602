"""Batches of a trial: indices on the device, a whole epoch at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from lrtool.errors import UsageError
from lrtool.tasks.base import Task
from lrtool.tasks.sources import BatchOrder, DatasetSource, Source


def index_device(source: Source, device: torch.device) -> torch.device:
    """Where a source wants its indices: one that fetches sample by sample reads them on the host."""
    return torch.device("cpu") if isinstance(source, DatasetSource) else device


class Batches:
    """Sample indices of batch m = 0, 1, …, which goes on through the epochs; random access."""

    def __init__(self, task: Task, seed: int, device: torch.device) -> None:
        if task.steps_per_epoch < 1:
            raise UsageError(
                f"a batch of {task.batch_size} does not fit {len(task.train)} training samples",
                where="data.batch_size",
                remedy=f"write at most {len(task.train)}" if len(task.train) else "give at least one training sample",
            )
        self._order = BatchOrder(seed, len(task.train), task.batch_size)
        self._device = index_device(task.train, device)
        self._epoch = -1
        self._rows = torch.empty(0, dtype=torch.int64)

    def __call__(self, m: int) -> Tensor:
        """Indices of batch m, shape (batch_size,), where the source wants it; an epoch is uploaded when it starts."""
        epoch, row = divmod(m, self._order.per_epoch)
        if epoch != self._epoch:
            self._rows = torch.from_numpy(self._order.epoch(epoch)).to(self._device)
            self._epoch = epoch
        return self._rows[row]

    def range(self, first: int, count: int) -> Tensor:
        """Indices of batches first … first+count−1, shape (count, batch_size), where the source wants them."""
        parts: list[Tensor] = []
        while count:
            self(first)
            row = first % self._order.per_epoch
            parts.append(self._rows[row : row + count])
            first, count = first + len(parts[-1]), count - len(parts[-1])
        return parts[0] if len(parts) == 1 else torch.cat(parts)
