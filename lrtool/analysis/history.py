"""All losses of a training in bounded memory."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
        self._first: list[float] = []
        self._last: deque[float] = deque(maxlen=_LAST)
        self._waiting: list[float] = []
        self._open: list[tuple[float, float]] = []
        self._levels: list[tuple[float, float]] = []
        self._groups = 1

    def add(self, losses: list[float]) -> None:
        """Take the next losses."""
        self.steps += len(losses)
        self._last.extend(losses)
        self._first += losses[: max(0, _ONE_BY_ONE - len(self._first))]
        self._waiting += losses
        for start in range(0, len(self._waiting) - GROUP + 1, GROUP):
            group = self._waiting[start : start + GROUP]
            self._open.append((max(group), min(group)))
            if len(self._open) == self._groups:
                self._close()
        self._waiting = self._waiting[len(self._waiting) // GROUP * GROUP :]

    @property
    def tail(self) -> Array:
        """The last losses, one by one."""
        return np.array(self._last)

    def levels(self) -> Levels:
        """What there is: while it is little, of each loss and the three before it; later of whole groups.

        The first level is that of the first losses alone: a training may explode within its first group.
        """
        if self.steps <= _ONE_BY_ONE:
            losses = np.array(self._first)
            if len(losses) < _START:
                return Levels(losses, losses, 1.0)
            padded = np.concatenate([np.full(GROUP - 1, losses[0]), losses])
            windows = np.lib.stride_tricks.sliding_window_view(padded, GROUP)
            return Levels(windows.max(1)[_START - 1 :], windows.min(1)[_START - 1 :], 1.0)
        first = self._first[:_START]
        high, low = np.array([(max(first), min(first)), *self._levels]).T
        return Levels(high, low, float(GROUP * self._groups))

    def _close(self) -> None:
        self._levels.append(_mean(self._open))
        self._open = []
        if len(self._levels) == _MOST:
            self._levels = [_mean(self._levels[at : at + 2]) for at in range(0, _MOST, 2)]
            self._groups *= 2


def _mean(levels: list[tuple[float, float]]) -> tuple[float, float]:
    # Divided first: a sum of huge losses may be too large for a float.
    count = len(levels)
    return sum(high / count for high, _ in levels), sum(low / count for _, low in levels)
