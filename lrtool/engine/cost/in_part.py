"""Validation data of which a part is looked at, to see how long all of them take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from lrtool.tasks.base import Task
from lrtool.tasks.sources import Batch, Source, TensorSource

#: Batches of which it is seen how long one takes.
_BATCHES = 32


@dataclass(frozen=True)
class First:
    """The first samples of another source, so many."""

    whole: Source
    size: int

    def __len__(self) -> int:
        return self.size

    def take(self, index: Tensor) -> Batch:
        """Those of the other source."""
        return self.whole.take(index)

    def to(self, device: torch.device) -> Self:
        """The same of the other source on a device."""
        return replace(self, whole=self.whole.to(device))


def validated_in_part(task: Task) -> tuple[Task, float]:
    """The task with few batches to validate, and how many times as long as those all of them take."""
    size = _BATCHES * task.val_batch_size
    if task.val is None or task.val_samples <= size:
        return task, 1.0
    source = task.val
    part: Source = First(source, size)
    if isinstance(source, TensorSource):
        part = TensorSource(tuple(each[:size] for each in source.inputs), source.target[:size])
    return replace(task, val=part), task.val_samples / size
