"""What the processes that fetch samples for a loader do with signals: those are for the process that trains."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType


class Begin:
    """What a loader calls first in each of its processes: `own` is what the user's loader would have called.

    A signal to all processes of a terminal or a job lets the training end its update and save; it needs its samples
    until then. A second SIGTERM ends the process, as one that hangs must be ended by somebody.
    """

    def __init__(self, own: Callable[[int], None] | None = None) -> None:
        self._own, self._asked = own, 0

    def __call__(self, number: int) -> None:
        """Of process `number`."""
        for name in ("SIGINT", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._end)
        if self._own is not None:
            self._own(number)

    def _end(self, signum: int, frame: FrameType | None) -> None:
        self._asked += 1
        if self._asked > 1:
            os._exit(128 + signum)
