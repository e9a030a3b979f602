"""Handling of signals to stop: they wait for the end of an update, so that what is saved then is whole."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from lrtool.errors import Interrupted

#: Ctrl-C, a stop from outside, and (where the system has them) a terminal that is closed, a scheduler's early warning.
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name))

#: Seconds within which a launcher passes on what the terminal has sent already.
_ECHO = 5.0


class Interrupts:
    """Remembers the first signal to stop; `check` raises it where stopping is safe.

    A second signal raises at once: whoever sends two does not want to wait. Where torchrun started this process, Ctrl-C
    comes from the terminal and again from torchrun: that is one signal.
    """

    def __init__(self) -> None:
        # One that came before, and was lost on its way: nobody passes on what is raised in a destructor.
        self.pending: int | None = Interrupted.heard.signum if Interrupted.heard is not None else None
        self._echo = _ECHO if "TORCHELASTIC_RUN_ID" in os.environ else 0.0
        self._since = 0.0

    def check(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self.pending is not None:
            raise Interrupted(self.pending)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self.pending is None:
            self.pending, self._since = signum, time.monotonic()
        elif time.monotonic() - self._since >= self._echo:
            raise Interrupted(signum)


@contextlib.contextmanager
def deferred_interrupts() -> Iterator[Interrupts]:
    """Hold signals back inside; the handlers from before return afterwards.

    Only the main thread of a process may set handlers: in any other the signals keep their way. A signal
    that comes after the last check is raised on the way out, never swallowed.
    """
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    # Under `nohup` SIGHUP is ignored, and stays so.
    asked = (signal.SIGINT, signal.SIGTERM)
    heard = [number for number in _SIGNALS if number in asked or signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, interrupts._handle) for number in heard}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            # A handler that was not set from Python reads as None and cannot be set again from here.
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
    interrupts.check()
