"""Data that can only be walked through, such as a loader of the user's own: some of its batches, kept."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from lrtool.errors import TaskError, UsageError
from lrtool.live.storage import free_memory
from lrtool.tasks.failures import guarded

_LOG = logging.getLogger("lrtool")

#: Batches that are kept at most, and the part of the free memory that they may take.
MOST, _PART = 256, 0.25
_END = object()


def as_data(value: Any, samples: int, notes: list[str]) -> Any:
    """What can be indexed, in place of what can only be iterated; all else as it is.

    An iterable that is no torch data set gives batches, as a loader does; where its items have a single number for a
    target they are samples. It is walked through once, from its beginning: one that cannot begin again, such as a
    generator, has then lost what was taken, and `notes` says how much.
    """
    if isinstance(value, str) or value is None or isinstance(value, int | float | type):
        raise UsageError(
            f"the data are {value!r}" if value is not None else "no data are given",
            where="data",
            remedy="pass a DataLoader, a Dataset, an iterable of batches, or a tuple (inputs…, target)",
        )
    if isinstance(value, IterableDataset):
        if isinstance(value, Iterator):
            _say(notes, f"the data cannot be begun again: up to {samples:,} samples were taken and are used up")
        return value
    if isinstance(value, DataLoader | Dataset | tuple | Mapping | Tensor | np.ndarray):
        return value
    if isinstance(value, list) or not hasattr(value, "__iter__") or _is_indexed(value):
        return value
    return _kept(value, samples, notes)


def _is_indexed(value: Any) -> bool:
    return hasattr(value, "__getitem__") and hasattr(value, "__len__")


def _kept(value: Any, samples: int, notes: list[str]) -> Any:
    once = isinstance(value, Iterator)
    with guarded("iterating over the data", "data"):
        iterator = iter(value)
        once = once or iterator is value
        first = next(iterator, _END)
        if first is _END:
            raise TaskError("the iterable of batches is empty", where="data", remedy="yield at least one (x, y)")
        single = _is_sample(first)
        most = samples if single else MOST
        found = _taken(iterator, first, most)
        more = next(iterator, _END) is not _END if len(found) == most and not once else len(found) == most
    what = "samples" if single else "batches"
    if once:
        _say(
            notes, f"the data are an iterator, which cannot begin again: {len(found)} {what} were taken and are used up"
        )
    elif more:
        _say(notes, f"the first {len(found)} {what} of the data are used, again and again")
    if single:
        return found
    return DataLoader(_Batches(found), batch_size=1, shuffle=True, collate_fn=_only)


def _taken(iterator: Iterator[Any], first: Any, most: int) -> list[Any]:
    """So many items at most, and no more than the memory holds."""
    room = (free_memory() or 2**62) * _PART
    found, size = [_on_host(first)], _bytes(first)
    while len(found) < most and size * (len(found) + 1) < room:
        item = next(iterator, _END)
        if item is _END:
            break
        found.append(_on_host(item))
    return found


class _Batches(Dataset[Any]):
    """Whole batches as a data set."""

    def __init__(self, batches: list[Any]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> Any:
        return self._batches[index]


def _only(batches: list[Any]) -> Any:
    return batches[0]


def _is_sample(item: Any) -> bool:
    """Whether an item is one sample: its target is a single number."""
    target = item[-1] if isinstance(item, tuple | list) and item else None
    return isinstance(target, int | float | np.number) or (isinstance(target, Tensor) and target.ndim == 0)


def _on_host(item: Any) -> Any:
    """A copy that nobody else writes to: loaders may use the same memory for every batch."""
    if isinstance(item, Tensor):
        return item.detach().to("cpu", copy=True)
    if isinstance(item, np.ndarray):
        return torch.as_tensor(item.copy())
    if isinstance(item, Mapping):
        return {key: _on_host(value) for key, value in item.items()}
    if isinstance(item, tuple | list):
        return tuple(_on_host(part) for part in item)
    return item


def _bytes(item: Any) -> int:
    if isinstance(item, Tensor):
        return item.numel() * item.element_size()
    if isinstance(item, np.ndarray):
        return int(item.nbytes)
    if isinstance(item, Mapping):
        return sum(map(_bytes, item.values()))
    return sum(map(_bytes, item)) if isinstance(item, tuple | list) else 8


def _say(notes: list[str], text: str) -> None:
    notes.append(text)
    _LOG.warning(text)
