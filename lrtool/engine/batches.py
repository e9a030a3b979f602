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
        self._order = BatchOrder(seed, len(task.train), task.batch_size)
        self._device, self._kept = index_device(task.train, device), kept
        self._epochs: dict[int, Tensor] = {}

    def __call__(self, m: int) -> Tensor:
        """Indices of batch m, shape (batch_size,), where the source wants it; an epoch is uploaded when it starts."""
        epoch, row = divmod(m, self._order.per_epoch)
        return self._rows(epoch)[row]

    def range(self, first: int, count: int) -> Tensor:
        """Indices of batches first … first+count−1, shape (count, batch_size), where the source wants them."""
        parts: list[Tensor] = []
        while count:
            epoch, row = divmod(first, self._order.per_epoch)
            parts.append(self._rows(epoch)[row : row + count])
            first, count = first + len(parts[-1]), count - len(parts[-1])
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _rows(self, epoch: int) -> Tensor:
        """An epoch's batches, (batches, batch_size)."""
        rows = self._epochs.get(epoch)
        if rows is None:
            rows = torch.from_numpy(self._order.epoch(epoch)).to(self._device)
            if len(self._epochs) >= self._kept:
                del self._epochs[next(iter(self._epochs))]
            self._epochs[epoch] = rows
        return rows
