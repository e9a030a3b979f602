"""What people have instead of a plain data set: loaders, streams, subsets; each as something that can be indexed.

A trial draws its own batches, the same for every LR that is compared, so what is taken of a loader is its data set, how
it makes a batch of samples, how large, and how often it draws each sample.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrtool.errors import TaskError
from lrtool.tasks.failures import guarded
from lrtool.tasks.loading.draws import UNTRAINED, drawn_by
from lrtool.tasks.loading.stateful import one

if TYPE_CHECKING:
    from lrtool.tasks.sources import Loading

_LOG = logging.getLogger("lrtool")


@dataclass(frozen=True)
class Samples:
    """A data set that can be indexed, and what goes with it: None where nothing was said.

    `weights`: how often each sample is drawn, relative to the others, shape (samples,).
    """

    dataset: Any
    collate: Callable[[list[Any]], Any] | None = None
    batch_size: int | None = None
    weights: NDArray[np.float64] | None = None
    drop_last: bool | None = None
    loading: Loading | None = None


def is_stream(value: Any) -> bool:
    """Whether it can only be read from its beginning."""
    from torch.utils.data import IterableDataset

    if isinstance(value, IterableDataset | Iterator):
        return True
    return hasattr(value, "__iter__") and not hasattr(value, "__getitem__")


def samples_of(value: Any, most: int, loaded: bool = False) -> Samples:
    """What a loader, a stream or a data set holds; of a stream, its first `most` samples, which then repeat.

    `loaded`: it stands in a loader, which says whether its items are samples or batches. Raises TaskError where a
    stream is empty or its code fails.
    """
    from torch.utils.data import DataLoader

    if isinstance(value, DataLoader):
        return _loader(value, most)
    if is_stream(value):
        found, size = _read(value, most, loaded)
        return Samples(found, batch_size=size) if size else Samples(found, _collate_of(value))
    return Samples(value, _collate_of(value))


def _loader(loader: Any, most: int) -> Samples:
    from torch.utils.data import (
        BatchSampler,
        RandomSampler,
        SequentialSampler,
        WeightedRandomSampler,
        default_collate,
    )

    inside = samples_of(loader.dataset, most, loaded=True)
    collate = inside.collate if loader.collate_fn is default_collate else loader.collate_fn
    sampler, weights = loader.sampler, None
    if isinstance(sampler, WeightedRandomSampler):
        weights = np.asarray(sampler.weights, dtype=np.float64)
    elif not isinstance(sampler, RandomSampler | SequentialSampler) and not is_stream(loader.dataset):
        _LOG.warning("the loader's %s is not used: every trial draws its batches at random", type(sampler).__name__)
    size, drop_last, streamed = loader.batch_size, loader.drop_last, is_stream(loader.dataset)
    if size is None and isinstance(loader.batch_sampler, BatchSampler):
        size, drop_last = loader.batch_sampler.batch_size, loader.batch_sampler.drop_last
    if size is None and streamed:
        # The stream gives whole batches: each is one sample of a batch of one.
        return Samples(inside.dataset, _only, 1)
    drop_last = drop_last if size is not None else None
    return Samples(inside.dataset, collate, size, weights, drop_last, None if streamed else _loading(loader))


def _loading(loader: Any) -> Loading:
    from lrtool.tasks.sources import Loading

    return Loading(loader.num_workers, loader.prefetch_factor, loader.multiprocessing_context, loader.worker_init_fn)


def _only(samples: list[Any]) -> Any:
    """The batch that a stream of batches gave."""
    return samples[0]


def _read(stream: Iterable[Any], most: int, loaded: bool) -> tuple[list[Any], int | None]:
    """Its first samples, and where its items are batches how many samples those have."""
    # What it draws is the same each time it is read, as when a run goes on.
    with drawn_by(UNTRAINED.word(0)), guarded("reading the stream of samples", "data"):
        iterator = iter(stream)
        first = list(itertools.islice(iterator, 1))
        size = _batch_of(stream, first[0]) if first else 0
        found = [*first, *itertools.islice(iterator, -(-most // max(size, 1)) - 1)]
        samples = _unbatched(found)[:most] if size else found
        more = len(samples) == most and next(iterator, _END) is not _END
    if not found:
        raise TaskError("the stream of samples is empty", where="data", remedy="yield at least one (x, y)")
    rest = f"{len(samples):,} samples are kept"
    if more:
        rest = f"its first {most:,} samples are kept and repeat (`data.samples`)"
    if size:
        rest += f"; its items are taken for batches, the first of {size} (of single samples make an IterableDataset)"
    elif not loaded and _length(first[0]) > 1:
        rest += "; its items are taken for single samples (of batches make a `DataLoader(stream, batch_size=None)`)"
    _LOG.warning(
        "the data are a stream: %s; `val_fraction` holds out some of them at random; a run that goes on reads the"
        " stream from its beginning again",
        rest,
    )
    return samples, size or None


_END = object()


def _batch_of(stream: Any, item: Any) -> int:
    """How many samples an item of a stream is a batch of; 0 where it is one sample, as of torch's own streams."""
    from torch.utils.data import IterableDataset

    return 0 if isinstance(stream, IterableDataset) else _length(item)


def _length(item: Any) -> int:
    """As many as each of its arrays is long; 0 where they differ, or not all of it are arrays."""
    parts = list(item.values()) if isinstance(item, Mapping) else item if isinstance(item, tuple | list) else []
    sizes = {len(part) if hasattr(part, "shape") and len(part.shape) else 0 for part in parts}
    return sizes.pop() if len(sizes) == 1 else 0


def _unbatched(batches: Iterable[Any]) -> list[Any]:
    return [one(batch, number, size) for batch in batches for size in [_length(batch)] for number in range(size)]


def _collate_of(dataset: Any) -> Callable[[list[Any]], Any] | None:
    """A data set's own way to make a batch, also where it stands inside a subset or a chain of data sets."""
    own = getattr(dataset, "collate_fn", None)
    if own is not None:
        return own  # type: ignore[no-any-return]
    if hasattr(dataset, "dataset") and hasattr(dataset, "indices"):
        return _collate_of(dataset.dataset)
    parts = getattr(dataset, "datasets", None)
    if isinstance(parts, list | tuple) and parts:
        return _collate_of(parts[0])
    return None


def classes_of(dataset: Any) -> int:
    """How many classes a data set says it has, also inside a subset or a chain; 0 where it does not say."""
    own = getattr(dataset, "classes", None)
    if own is not None and hasattr(own, "__len__"):
        return len(own)
    if hasattr(dataset, "dataset") and hasattr(dataset, "indices"):
        return classes_of(dataset.dataset)
    parts = getattr(dataset, "datasets", None)
    return max(map(classes_of, parts)) if isinstance(parts, list | tuple) and parts else 0
