"""Sources: where batches come from. Tensors in memory are indexed at once; other data sets sample by sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Subset, default_collate

from lrtool.errors import TaskError
from lrtool.tasks.failures import guarded
from lrtool.tasks.loading.draws import UNTRAINED, Draw, generators_of, host_preserved, seed_sample


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
class Loading:
    """How a user's loader has its samples fetched: by so many processes, each `ahead` batches, begun in some way.

    `begin`: what it calls first in each, with its number.
    """

    workers: int = 0
    ahead: int | None = None
    context: Any = None
    begin: Callable[[int], None] | None = None


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


_PAD = (
    "where samples differ in length, return a DataLoader with its collate_fn from your data target,"
    " or give the data set a method collate_fn(samples) that pads them"
)


@dataclass(frozen=True)
class DatasetSource:
    """A map-style data set; a batch is fetched sample by sample (at once through `__getitems__`) and collated.

    Samples are tuples `(inputs…, target)` or mappings; `collate(samples)` makes a batch of them (None: torch's own way,
    or the data set's `collate_fn`). `target`: the key under which mappings have the target. `spread`: of samples
    `({inputs}, target)` the inputs are keyword arguments. `also_target`: the target is the last input too. `loading`:
    how its loader has samples fetched.
    """

    dataset: Any
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    collate: Callable[[list[Any]], Any] | None = None
    target: str = "target"
    spread: bool = False
    also_target: bool = False
    loading: Loading = field(default_factory=Loading)

    def __len__(self) -> int:
        return len(self.dataset)

    def take(self, index: Tensor, draw: Draw = UNTRAINED) -> Batch:
        """Fetch and collate these samples; what is random in one is a function of `draw` and its index.

        Raises TaskError with the place where the data set's code fails.
        """
        return self.placed(self.collated(index.tolist(), draw))

    def collated(self, wanted: list[int], draw: Draw) -> Any:
        """What collating these samples gives, on the host; random states are left as they were."""
        with host_preserved():
            with guarded("fetching samples from the data set", "data"):
                samples = self._fetched(wanted, draw)
            # What is drawn here goes on from the last sample's.
            with guarded("collating samples into a batch (they must have one shape and type)", "data", _PAD):
                own = self.collate if self.collate is not None else getattr(self.dataset, "collate_fn", None)
                return (own or default_collate)(samples)

    def _fetched(self, wanted: list[int], draw: Draw) -> Any:
        if _at_once(self.dataset):
            seed_sample(draw.word(wanted[0] if wanted else 0), self._generators)
            return self.dataset.__getitems__(wanted)
        samples = []
        for number, index in enumerate(wanted):
            seed_sample(draw.word(index, number), self._generators)
            samples.append(self.dataset[index])
        return samples

    @cached_property
    def _generators(self) -> list[Any]:
        return generators_of(self.dataset)

    def placed(self, collated: Any) -> Batch:
        """The batch that was collated, on the device."""
        batch = as_batch(collated, self.target, self.spread, self.also_target)
        return Batch(moved(batch.inputs, self.device), moved(batch.target, self.device))

    def to(self, device: torch.device) -> Self:
        """The same data set, its batches on the device."""
        return replace(self, device=device)


def _at_once(dataset: Any) -> bool:
    """Whether it gives many samples at once by code of its own; torch's `Subset` takes them one by one by itself."""
    if isinstance(dataset, Subset):
        return _at_once(dataset.dataset)
    return hasattr(dataset, "__getitems__")


def first_part(source: Source, size: int) -> Source:
    """The first samples of a source, as a source."""
    if isinstance(source, TensorSource):
        return TensorSource(tuple(part[:size] for part in source.inputs), source.target[:size])
    assert isinstance(source, DatasetSource)
    return replace(source, dataset=Subset(source.dataset, range(size)))


def as_batch(collated: Any, target: str = "target", spread: bool = False, also_target: bool = False) -> Batch:
    """Inputs and target of a collated batch: the last of a tuple, or the key `target` of a mapping (None without).

    `spread`: a single mapping before the target is keyword arguments. `also_target`: a tuple's target is an input too.
    Raises TaskError for anything else.
    """
    if isinstance(collated, Mapping):
        inputs = {key: value for key, value in collated.items() if key != target}
        return Batch(inputs, collated.get(target))
    if isinstance(collated, tuple | list) and len(collated) >= 2:
        if spread and len(collated) == 2 and isinstance(collated[0], Mapping):
            return Batch(dict(collated[0]), collated[1])
        return Batch(tuple(collated if also_target else collated[:-1]), collated[-1])
    raise TaskError(
        f"a sample must be a tuple (inputs…, target) or a mapping, but a batch of them is a {type(collated).__name__}",
        where="data",
        remedy="return (x, y) from __getitem__",
    )


def moved(value: Any, device: torch.device) -> Any:
    """A value with every tensor in it on a device."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, Mapping):
        return {key: moved(item, device) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return tuple(moved(item, device) for item in value)
    return value


def as_tensor(values: Tensor | NDArray[Any]) -> Tensor:
    """A tensor of these values: arrays of floats in torch's default precision, of integers as int64; tensors as is."""
    if isinstance(values, Tensor):
        return values
    if np.issubdtype(values.dtype, np.floating):
        return torch.tensor(values, dtype=torch.get_default_dtype())
    return torch.tensor(values, dtype=torch.bool if values.dtype == np.bool_ else torch.int64)


class BatchOrder:
    """Which samples make up each batch: a pure function of (seed, epoch, step), the same in every engine.

    Each epoch is a fresh permutation; the remainder that does not fill a batch is left out, or without `drop_last` a
    last, smaller batch. With `weights`, shape (size,), samples are drawn with replacement, as often as these say.
    """

    def __init__(
        self,
        seed: int,
        size: int,
        batch_size: int,
        weights: NDArray[np.float64] | None = None,
        drop_last: bool = True,
    ) -> None:
        self.seed, self.size, self.batch_size = seed, size, batch_size
        self.per_epoch = size // batch_size if drop_last else -(-size // batch_size)
        self._shares = None if weights is None else weights / weights.sum()

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Indices of an epoch's samples in order, all its batches one after the other."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed, epoch]))
        wanted = min(self.per_epoch * self.batch_size, self.size)
        if self._shares is None:
            order = rng.permutation(self.size)[:wanted]
        else:
            order = rng.choice(self.size, wanted, p=self._shares)
        return order.astype(np.int64, copy=False)

    def epoch(self, epoch: int) -> NDArray[np.int64]:
        """Indices of a whole epoch, shape (batches, batch_size); its batches must be of one size."""
        return self.order(epoch).reshape(self.per_epoch, self.batch_size)
