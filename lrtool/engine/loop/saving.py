"""The budget of time for checkpoints on the way."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

#: What the first save is taken to do, as nothing is known of it: so many small files, and so many bytes a second.
_FILES, _BYTES_PER_SECOND = 3, 100e6


class SaveBudget:
    """Saving may take at most a part of the time since this was made: Σ saves + the next ≤ share · elapsed.

    `share`: that part, above 0. The next save is taken to last as long as the last one did. The first is judged by
    `small_file`, the seconds that a small file took to write there, and by what is to be saved: a disk that is slow, or
    a large model, puts it off, and a run of hours on a usual disk is saved for the first time within seconds.
    """

    def __init__(self, share: float, small_file: float, clock: Callable[[], float] = time.perf_counter) -> None:
        if not share > 0:
            raise ValueError(f"`share > 0` must hold, but got {share}")
        self.share, self._small_file, self._clock = share, small_file, clock
        self._began, self._spent = clock(), 0.0
        self._last: float | None = None

    def allows(self, size: int, ahead: float = 0.0) -> bool:
        """Whether `size` bytes may be saved `ahead` seconds from now."""
        first = _FILES * self._small_file + size / _BYTES_PER_SECOND
        following = first if self._last is None else self._last
        return self._spent + following <= self.share * (self._clock() - self._began + ahead)

    @contextlib.contextmanager
    def spending(self) -> Iterator[None]:
        """What is done inside is a save."""
        began = self._clock()
        try:
            yield
        finally:
            self._last = self._clock() - began
            self._spent += self._last
