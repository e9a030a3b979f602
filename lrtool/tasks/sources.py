"""Sources: where batches come from. Tensors in memory are indexed at once; other data sets sample by sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """One batch on the device: `inputs` is a tuple (positional) or a mapping (keyword arguments)."""

    inputs: tuple[Any, ...] | Mapping[str, Any]
    target: Any

    def forward(self, model: torch.nn.Module) -> Any:
        """What the model says of these inputs."""
        return model(**self.inputs) if isinstance(self.inputs, Mapping) else model(*self.inputs)


class Source(Protocol):
    """Samples that can be taken by index, in any order."""

    def __len__(self) -> int: ...

    def take(self, index: Tensor) -> Batch:
        """The batch of these samples; `index` is an int64 tensor on the source's device."""
        ...

    def to(self, device: torch.device) -> Self:
        """The same source, its tensors (or its batches) on a device."""
        ...


@dataclass(frozen=True)
class TensorSource:
    """Tensors in memory, first axis the sample; a batch is one indexing operation a tensor."""

    inputs: tuple[Tensor, ...]
    target: Tensor

    def __len__(self) -> int:
        return len(self.target)

    def take(self, index: Tensor) -> Batch:
        """One `index_select` a tensor; no sample ever passes through Python."""
        return Batch(tuple(part.index_select(0, index) for part in self.inputs), self.target.index_select(0, index))

    def to(self, device: torch.device) -> Self:
        """Copies of the tensors on the device."""
        return type(self)(tuple(part.to(device) for part in self.inputs), self.target.to(device))


def as_tensor(values: Tensor | NDArray[Any]) -> Tensor:
    """A tensor of these values: arrays of floats in torch's default precision, of integers as int64; tensors as is."""
    if isinstance(values, Tensor):
        return values
    if np.issubdtype(values.dtype, np.floating):
        return torch.tensor(values, dtype=torch.get_default_dtype())
    return torch.tensor(values, dtype=torch.bool if values.dtype == np.bool_ else torch.int64)


class BatchOrder:
    """Which samples make up each batch: a pure function of (seed, epoch, step), the same in every engine.

    Each epoch is a fresh permutation; the remainder that does not fill a batch is left out.
    """

    def __init__(self, seed: int, size: int, batch_size: int) -> None:
        self.seed, self.size, self.batch_size = seed, size, batch_size
        self.per_epoch = size // batch_size

    def epoch(self, epoch: int) -> NDArray[np.int64]:
        """Indices of a whole epoch, shape (batches, batch_size)."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed, epoch]))
        order = rng.permutation(self.size)[: self.per_epoch * self.batch_size]
        return order.reshape(self.per_epoch, self.batch_size).astype(np.int64)
