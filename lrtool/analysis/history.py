"""All losses of a training in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

#: Losses that are looked at together: of each such group the highest and the lowest count.
GROUP = 4
#: Levels that are kept; where there would be more, neighbours are put together.
_MOST = 512
#: First and last losses that are kept one by one.
_ONE_BY_ONE, _LAST = 128, 256
#: Losses that the first level is made of: one alone may be low by chance.
_START = 3


@dataclass(frozen=True)
class Levels:
    """A loss seen from afar: the highest and the lowest of every four updates, as means over `width` updates."""

    high: Array
    low: Array
    width: float

    @property
    def updates(self) -> float:
        """How many updates these are."""
        return len(self.high) * self.width


class History:
    """Takes finite losses in pieces, however they are cut; keeps the first and the last ones, and levels of all."""

    def __init__(self) -> None:
        self.steps = 0
        self._first = np.empty(0)
        # Twice the room, so that making place for the next ones is seldom.
        self._recent, self._until = np.empty(2 * _LAST), 0
        self._waiting = np.empty(0)
        self._open = np.empty((2, 0))
        # One more, in front: the level of the first losses.
        self._levels, self._count = np.empty((2, _MOST + 1)), 1
        self._groups = 1

    def add(self, losses: ArrayLike) -> None:
        """Take the next losses, shape (count,)."""
        new = np.asarray(losses, dtype=np.float64)
        self.steps += len(new)
        self._keep(new[-_LAST:])
        if len(self._first) < _ONE_BY_ONE:
            self._first = np.concatenate([self._first, new])[:_ONE_BY_ONE]
            start = self._first[:_START]
            self._levels[:, 0] = start.max(initial=-np.inf), start.min(initial=np.inf)
        waiting = np.concatenate([self._waiting, new])
        whole = len(waiting) // GROUP * GROUP
        self._waiting = waiting[whole:]
        if whole:
            groups = waiting[:whole].reshape(-1, GROUP)
            self._open = np.concatenate([self._open, [groups.max(1), groups.min(1)]], axis=1)
            self._close()

    @property
    def tail(self) -> Array:
        """The last losses, one by one."""
        return self._recent[max(0, self._until - _LAST) : self._until]

    def levels(self) -> Levels:
        """What there is: while it is little, of each loss and the three before it; later of whole groups.

        The first level is that of the first losses alone: a training may explode within its first group.
        """
        if self.steps <= _ONE_BY_ONE:
            losses = self._first
            if len(losses) < _START:
                return Levels(losses, losses, 1.0)
            padded = np.concatenate([np.full(GROUP - 1, losses[0]), losses])
            windows = np.lib.stride_tricks.sliding_window_view(padded, GROUP)
            return Levels(windows.max(1)[_START - 1 :], windows.min(1)[_START - 1 :], 1.0)
        high, low = self._levels[:, : self._count]
        return Levels(high, low, float(GROUP * self._groups))

    def _keep(self, last: Array) -> None:
        if self._until + len(last) > len(self._recent):
            tail = self.tail.copy()
            self._recent[: len(tail)], self._until = tail, len(tail)
        self._recent[self._until : self._until + len(last)] = last
        self._until += len(last)

    def _close(self) -> None:
        """Make levels of the groups that are complete, and put neighbours together where there would be too many."""
        while self._open.shape[1] >= self._groups:
            levels = min(self._open.shape[1] // self._groups, self._levels.shape[1] - self._count)
            closed, self._open = np.split(self._open, [levels * self._groups], axis=1)
            for _ in range(self._groups.bit_length() - 1):
                closed = _halved(closed)
            self._levels[:, self._count : self._count + levels] = closed
            self._count += levels
            if self._count == self._levels.shape[1]:
                self._levels[:, 1 : _MOST // 2 + 1] = _halved(self._levels[:, 1:])
                self._count, self._groups = _MOST // 2 + 1, 2 * self._groups


def _halved(levels: Array) -> Array:
    """The means of neighbours: the same, to the last bit, in whatever pieces they come."""
    # Divided first: a sum of huge losses may be too large for a float.
    halves = levels / 2
    means: Array = halves[:, ::2] + halves[:, 1::2]
    return means
