"""A digest of a task's data, by which other values, or another order of them, are noticed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from lrtool.tasks.loading.draws import UNTRAINED, generators_of, host_preserved, seed_sample
from lrtool.tasks.loading.stateful import LoaderSource
from lrtool.tasks.sources import DatasetSource, Source, TensorSource

#: Samples of a data set that are looked at: as many as this takes, in an order in which any part of them is spread out.
_SECONDS, _MOST = 0.5, 4096
#: The golden ratio's fraction, whose multiples are spread evenly.
_SPREAD = 0.6180339887498949


class WithData(Protocol):
    """Interface of what has training and validation data: a task, or data that were loaded."""

    @property
    def train(self) -> Source:
        """The training samples."""

    @property
    def val(self) -> Source | None:
        """Those for validation, if there are any."""


def data_digest(task: WithData, like: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A digest of the training and the validation data, as plain data.

    Of tensors all is in it; of a data set that gives one sample at a time, some samples, unless they are others each
    time. `like`: what was computed before; as many samples are looked at then.
    """
    sources = {"train": task.train, **({"val": task.val} if task.val is not None else {})}
    before = like or {}
    return {name: _of_source(source, before.get(name)) for name, source in sources.items()}


def changed_data(then: Mapping[str, Any], task: WithData) -> list[str]:
    """Which data are not as they were, in words; nothing where all are."""
    now = data_digest(task, then)
    words = {"train": "the training data", "val": "the validation data"}
    return [words[name] for name in words if now.get(name) != then.get(name)]


def _of_source(source: Source, before: Mapping[str, Any] | None) -> dict[str, Any]:
    if isinstance(source, TensorSource):
        found = hashlib.sha256()
        for part in (*source.inputs, source.target):
            _add(found, part)
        return {"samples": len(source), "sha256": found.hexdigest()}
    if isinstance(source, LoaderSource):
        # What it gives depends on where it is; its beginning is known.
        found = hashlib.sha256()
        _add(found, source.first)
        return {"samples": len(source), "sha256": found.hexdigest()}
    assert isinstance(source, DatasetSource)
    looked = None if before is None else before.get("looked_at")
    with host_preserved():
        try:
            return {"samples": len(source), **_of_samples(source.dataset, len(source), looked)}
        # It may need what only training gives it; then nothing is known.
        except Exception:
            return {"samples": len(source), "looked_at": 0}


def _of_samples(dataset: Any, size: int, looked: int | None) -> dict[str, Any]:
    count = min(size, _MOST) if looked is None else min(size, looked)
    order = list(dict.fromkeys((np.arange(1, size + 1) * _SPREAD % 1 * size).astype(int).tolist()))[:count]
    own = generators_of(dataset)
    began, found, done = time.monotonic(), hashlib.sha256(), 0
    for number in order:
        if looked is None and time.monotonic() - began > _SECONDS:
            break
        first, again = hashlib.sha256(), hashlib.sha256()
        for each in (first, again):
            seed_sample(UNTRAINED.word(number), own)
            _add(each, dataset[number])
        # What is another each time though it is seeded says nothing of the data.
        if first.digest() == again.digest():
            found.update(first.digest())
        done += 1
    return {"looked_at": done, "sha256": found.hexdigest()}


def _add(found: Any, value: Any) -> None:
    """Add a value, however nested, to a digest; what is not known adds its type only."""
    match value:
        case Tensor():
            kept = value.detach().cpu().contiguous()
            found.update(f"{kept.dtype} {tuple(kept.shape)}".encode())
            found.update(kept.reshape(-1).view(torch.uint8).numpy().data if kept.numel() else b"")
        case np.ndarray() if not value.dtype.hasobject:
            found.update(f"{value.dtype} {value.shape}".encode())
            found.update(np.ascontiguousarray(value).tobytes())
        case str() | bytes() | bool() | int() | float() | None | np.generic():
            found.update(repr(value).encode("utf-8", "surrogatepass"))
        case Mapping():
            for key in value:
                found.update(repr(key).encode())
                _add(found, value[key])
        case list() | tuple():
            found.update(f"{len(value)}".encode())
            for part in value:
                _add(found, part)
        case _ if callable(getattr(value, "tobytes", None)):  # a picture
            found.update(value.tobytes())
        case _:
            found.update(type(value).__name__.encode())
