"""A limit to the time that a command may take: when it is reached, the command stops as after a SIGTERM."""

from __future__ import annotations

import re
import signal
import threading

from lrtool.errors import Interrupted, UsageError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = r"\d+(?:\.\d*)?|\.\d+"
_WRITTEN = re.compile(rf"(?:(?:{_PART})[smhd])+|{_PART}")
#: A timer cannot wait for longer.
_LONGEST = threading.TIMEOUT_MAX


def seconds_of(text: str) -> float:
    """A time as it is written, `55m`, `1h30m` or a number of seconds, in seconds; UsageError where it is none.

    >>> seconds_of("55m"), seconds_of("1h30m"), seconds_of("90")
    (3300.0, 5400.0, 90.0)
    """
    written = text.strip().lower()
    seconds = 0.0
    if _WRITTEN.fullmatch(written):
        parts = re.findall(rf"({_PART})([smhd]?)", written)
        seconds = sum(float(number) * _UNITS[unit or "s"] for number, unit in parts)
    if not 0 < seconds < _LONGEST:
        raise UsageError(
            f"a time limit is a time above 0, but got {text!r}",
            where="--time-limit",
            remedy="write for example 55m, 1h30m or 90s",
        )
    return seconds


class Deadline:
    """Stops the command when the time is over, unless it is called off before."""

    def __init__(self, text: str) -> None:
        """Begin to count; UsageError where the text is no time."""
        self._text = text.strip()
        self._timer = threading.Timer(seconds_of(text), self._ring)
        self._timer.daemon = True
        self._timer.start()

    def call_off(self) -> None:
        """The command has ended."""
        self._timer.cancel()
        Interrupted.reasons.pop(signal.SIGTERM, None)

    def _ring(self) -> None:
        Interrupted.reasons[signal.SIGTERM] = f"the time limit of {self._text} was reached"
        if hasattr(signal, "pthread_kill"):
            # The main thread, wherever it waits.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        else:
            signal.raise_signal(signal.SIGTERM)
