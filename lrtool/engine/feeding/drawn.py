"""Batches that are drawn at random, each by itself."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lrtool.engine.batches import Batches, take
from lrtool.engine.feeding.base import Feed
from lrtool.tasks.base import Task
from lrtool.tasks.loading.draws import Draw
from lrtool.tasks.sources import Batch

#: Samples of a batch, and what the mean loss of them counts in that over several processes.
Part = Callable[[Tensor], tuple[Tensor, float]]


class DrawnFeed(Feed):
    """Batches that are drawn at random, each by itself."""

    def __init__(self, task: Task, seed: int, device: torch.device, part: Part) -> None:
        self._source, self._seed, self._part = task.train, seed, part
        # Processes that fetch ahead are in the next epoch while this one ends.
        self._batches, self._repeated = Batches(task, seed, device, kept=2), task.weights is not None

    def __call__(self, m: int) -> tuple[Batch, float]:
        """Batch m, drawn."""
        index, draw, factor = self.wanted(m)
        return take(self._source, index, draw), factor

    def wanted(self, m: int) -> tuple[Tensor, Draw, float]:
        """Samples of batch m that are this process's, by what they are drawn, and their factor."""
        index, factor = self._part(self._batches(m))
        epoch, row = divmod(m, self._batches.per_epoch)
        place = row * len(index) if self._repeated else None
        return index, Draw(self._seed, epoch, place), factor
