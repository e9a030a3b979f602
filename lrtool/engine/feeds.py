"""Where a trial's batches come from while it trains, and what of that a checkpoint must hold.

Batches that are drawn here are a pure function of seed and number: nothing need be kept. A user's loader that has its
own order is read on from where it was.
"""

from __future__ import annotations

import multiprocessing
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lrtool.engine.batches import Batches, take
from lrtool.errors import UsageError
from lrtool.tasks.base import Task
from lrtool.tasks.draws import Draw
from lrtool.tasks.failures import guarded
from lrtool.tasks.sources import Batch, DatasetSource
from lrtool.tasks.stateful import LoaderSource, Reading
from lrtool.tasks.worker import Begin

#: Samples of a batch, and what the mean loss of them counts in that over several processes.
Part = Callable[[Tensor], tuple[Tensor, float]]
#: Bytes of the latest batches that are kept to look for a fault among them.
_MOST_BYTES = 24 * 2**20


class Feed(ABC):
    """The batches m = 0, 1, … of a trial, and the factor of each batch's mean loss."""

    @abstractmethod
    def __call__(self, m: int) -> tuple[Batch, float]:
        """Batch m: the next, or one before once more. Raises TaskError where the user's code fails."""

    def begin(self, m: int) -> None:  # noqa: B027 - most need do nothing
        """Batches before m are not asked for again; those from m on may be, to look for a fault."""

    def passed(self, m: int) -> None:  # noqa: B027
        """The updates before batch m are done; those since `begin` may only be asked for again if `repeats` says so."""

    def repeats(self, m: int) -> bool:
        """Whether batches from m on can be had again."""
        return True

    def state(self) -> dict[str, Any] | None:
        """Where it is, if that does not follow from a batch's number."""
        return None

    def restore(self, state: Mapping[str, Any] | None, m: int) -> None:  # noqa: B027
        """Go on with batch m from what `state` gave. Raises TaskError where the user's loader does not take it."""

    def close(self) -> None:  # noqa: B027
        """End what processes it has."""


def feed(task: Task, seed: int, device: torch.device, part: Part, alone: bool) -> Feed:
    """The feed of a trial. `part`: this process's samples of a batch; `alone`: it has no others.

    Raises UsageError where a loader with an order of its own is to be shared by several processes.
    """
    if isinstance(task.train, LoaderSource):
        if not alone:
            raise UsageError(
                "several processes cannot share a loader that keeps its own order",
                where="data",
                remedy="return the data set, or a plain DataLoader, from your data target",
            )
        return LoaderFeed(task.train, seed)
    drawn = DrawnFeed(task, seed, device, part)
    source = task.train
    # A process that is itself one of several workers may have none of its own.
    if isinstance(source, DatasetSource) and source.loading.workers and not multiprocessing.current_process().daemon:
        return WorkersFeed(drawn, source)
    return drawn


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


class LoaderFeed(Feed):
    """The batches of a user's loader, in its own order."""

    def __init__(self, source: LoaderSource, seed: int) -> None:
        self._source, self._reading, self._next = source, Reading(source, seed), 0
        self._kept: dict[int, Batch] = {}
        self._since = 0

    def __call__(self, m: int) -> tuple[Batch, float]:
        """Batch m, the next of the loader, or one that is kept."""
        if m in self._kept:
            return self._kept[m], 1.0
        assert m == self._next, f"batch {m} was asked for, but the loader is at {self._next}"
        self._kept[m] = self._source.placed(self._reading.following())
        self._next += 1
        return self._kept[m], 1.0

    def begin(self, m: int) -> None:
        """Keep what comes from here on."""
        self._since = m
        self._kept.clear()

    def passed(self, m: int) -> None:
        """Let go of what is kept where it is much."""
        if sum(map(_bytes, self._kept.values())) > _MOST_BYTES:
            self.begin(m)

    def repeats(self, m: int) -> bool:
        """Whether all from m on is kept."""
        return self._since <= m

    def state(self) -> dict[str, Any] | None:
        """The loader's own."""
        return self._reading.state()

    def restore(self, state: Mapping[str, Any] | None, m: int) -> None:
        """Put the loader's own back."""
        self._next = m
        if state is not None:
            self._reading.restore(state)

    def close(self) -> None:
        """Let go of the loader."""
        self._kept.clear()
        self._reading.close()


def _bytes(batch: Batch) -> int:
    inputs = batch.inputs.values() if isinstance(batch.inputs, Mapping) else batch.inputs
    return sum(t.numel() * t.element_size() for t in (*inputs, batch.target) if isinstance(t, Tensor))
