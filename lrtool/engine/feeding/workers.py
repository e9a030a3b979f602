"""Batches that processes fetch ahead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import torch
from torch.utils.data import DataLoader, Dataset

from lrtool.engine.feeding.base import Feed
from lrtool.engine.feeding.drawn import DrawnFeed
from lrtool.tasks.failures import guarded
from lrtool.tasks.loading.draws import Draw
from lrtool.tasks.loading.worker import Begin
from lrtool.tasks.sources import Batch, DatasetSource


class WorkersFeed(Feed):
    """The same batches, fetched ahead by as many processes as the user's loader has."""

    def __init__(self, drawn: DrawnFeed, source: DatasetSource) -> None:
        self._drawn, self._source = drawn, source
        self._coming: Iterator[Any] | None = None
        self._next = 0

    def __call__(self, m: int) -> tuple[Batch, float]:
        """Batch m, as a process fetched it."""
        if m != self._next or self._coming is None:
            if m < self._next:
                return self._drawn(m)
            self._coming, self._next = self._fetched(m), m
        with guarded("fetching samples from the data set", "data"):
            collated = next(self._coming)
        self._next += 1
        # What failed there fails here too, and says where.
        return self._drawn(m) if collated is None else (self._source.placed(collated[0]), self._drawn.wanted(m)[2])

    def close(self) -> None:
        """End the processes."""
        self._coming, self._next = None, 0

    def _fetched(self, first: int) -> Iterator[Any]:
        how = self._source.loading
        loader: DataLoader[Any] = DataLoader(
            _Fetched(self._source),
            batch_size=None,
            sampler=cast("Any", _Wanted(self._drawn, first)),
            num_workers=how.workers,
            prefetch_factor=how.ahead,
            multiprocessing_context=how.context,
            worker_init_fn=Begin(how.begin),
            collate_fn=_as_it_is,
            # Its seed for the processes is not drawn from the training's stream.
            generator=torch.Generator(),
        )
        return iter(loader)


class _Wanted(Iterable[Any]):
    """What is asked of the processes: samples and draw of each batch from the first on, without end."""

    def __init__(self, drawn: DrawnFeed, first: int) -> None:
        self._drawn, self._first = drawn, first

    def __iter__(self) -> Iterator[tuple[list[int], Draw]]:
        m = self._first
        while True:
            index, draw, _ = self._drawn.wanted(m)
            yield index.tolist(), draw
            m += 1


class _Fetched(Dataset[Any]):
    """In a process: batches of a source, on the host; None for one that fails."""

    def __init__(self, source: DatasetSource) -> None:
        self._source = source

    def __getitem__(self, wanted: tuple[list[int], Draw]) -> tuple[Any] | None:
        try:
            return (self._source.collated(*wanted),)
        except Exception:  # whatever the user's code raises
            return None


def _as_it_is(value: Any) -> Any:
    return value
