"""A user's data set inside a loader of theirs, in this process or a worker: before each sample, all is seeded.

A wrapper passes on whatever else is asked of the data set. It has `state_dict` exactly where that has it, so that who
looks for such methods finds what is there.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from lrtool.tasks.loading.draws import UNTRAINED, Draw, generators_of, seed_sample

_OWN = frozenset({"draw", "_inner", "_generators", "_given"})


def seeded(dataset: Any) -> Seeded:
    """A data set, or a stream, whose samples are drawn by the wrapper's `draw`."""
    from torch.utils.data import IterableDataset

    keeps_state = _has_state(dataset)
    # torch gives its streams a `__getitem__` too.
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__getitem__"):
        return StatefulStream(dataset) if keeps_state else Stream(dataset)
    return StatefulSamples(dataset) if keeps_state else IndexedSamples(dataset)


class Seeded:
    """What the wrappers share; `draw`: the trial's seed and the pass."""

    def __init__(self, inner: Any) -> None:
        self._inner, self._generators, self.draw = inner, generators_of(inner), UNTRAINED

    def __len__(self) -> int:
        return len(self._inner)

    def __getattr__(self, name: str) -> Any:
        if name in _OWN or (name.startswith("__") and name != "__getitems__"):
            raise AttributeError(name)
        if name in ("state_dict", "load_state_dict"):
            raise AttributeError(name)
        found = getattr(self._inner, name)
        return self._many if name == "__getitems__" else found

    def __setattr__(self, name: str, value: Any) -> None:
        # Whoever divides a stream among workers sets there what each is to read.
        if name in _OWN:
            object.__setattr__(self, name, value)
        else:
            setattr(self._inner, name, value)

    def _many(self, index: list[Any]) -> Any:
        self._seed(index[0] if index else 0)
        return self._inner.__getitems__(index)

    def _seed(self, index: Any) -> None:
        number = index if isinstance(index, int) else zlib.crc32(repr(index).encode())
        seed_sample(self.draw.word(number), self._generators)


class IndexedSamples(Seeded):
    """A data set that is indexed."""

    def __getitem__(self, index: Any) -> Any:
        self._seed(index)
        return self._inner[index]


class StatefulSamples(IndexedSamples):
    """The same of one that keeps a state."""

    def state_dict(self) -> Any:
        """The data set's own."""
        return self._inner.state_dict()

    def load_state_dict(self, state: Any) -> None:
        """Put it back."""
        self._inner.load_state_dict(state)


class Stream(Seeded):
    """A stream: its samples count by how many came before."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._given = 0

    def __iter__(self) -> Iterator[Any]:
        from torch.utils.data import get_worker_info

        worker = get_worker_info()
        draw = self.draw._replace(place=worker.id) if worker is not None else self.draw
        # A state that was put back is that of the pass that begins now.
        given, self._given = self._given, 0
        seed_sample(draw.word(-1), self._generators)
        own = iter(self._inner)
        kind = StatefulStreamIterator if _has_state(own) else StreamIterator
        return kind(self, own, draw, given)


class StatefulStream(Stream):
    """The same of one that keeps its place."""

    def state_dict(self) -> dict[str, Any]:
        """The stream's own, and how many samples it gave in this pass."""
        return {"own": self._inner.state_dict(), "given": self._given}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put it back."""
        self._inner.load_state_dict(state["own"])
        self._given = state["given"]


class StreamIterator:
    """The samples of a stream, each seeded before it is read."""

    def __init__(self, stream: Stream, own: Iterator[Any], draw: Draw, given: int) -> None:
        self._stream, self._own, self._draw, self._given = stream, own, draw, given
        self._told()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        seed_sample(self._draw.word(self._given), self._stream._generators)
        try:
            sample = next(self._own)
        except StopIteration:
            self._given = 0
            self._told()
            raise
        self._given += 1
        self._told()
        return sample

    def _told(self) -> None:
        self._stream._given = self._given


class StatefulStreamIterator(StreamIterator):
    """The same of an iterator that keeps its place."""

    def state_dict(self) -> dict[str, Any]:
        """The iterator's own, and how many samples it gave."""
        state: Any = self._own
        return {"own": state.state_dict(), "given": self._given}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put it back."""
        own: Any = self._own
        own.load_state_dict(state["own"])
        self._given = state["given"]
        self._told()


def _has_state(value: Any) -> bool:
    return hasattr(value, "state_dict") and hasattr(value, "load_state_dict")
