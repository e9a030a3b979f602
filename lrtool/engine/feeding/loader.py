"""Batches of a user's loader that keeps its own order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lrtool.engine.feeding.base import Feed
from lrtool.tasks.loading.stateful import LoaderSource, Reading
from lrtool.tasks.sources import Batch

#: Bytes of the latest batches that are kept to look for a fault among them.
_MOST_BYTES = 24 * 2**20


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
