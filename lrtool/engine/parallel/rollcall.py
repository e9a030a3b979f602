"""Who is missing when the connection of processes breaks off, and why: torch's store, which outlives it, knows."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from contextlib import suppress
from typing import Any

from lrtool.errors import RankLost, TaskError

#: What torch's backends say where another process closed its connection, or did not answer in time.
_CONNECTION = re.compile(
    r"gloo|nccl|connection (was )?(closed|reset|refused)|timed out|timeout|pair closure|broken pipe|socket|watchdog",
    re.IGNORECASE,
)
#: What they say where it was the time that ran out.
_LATE = re.compile(r"time(d )?out", re.IGNORECASE)
#: Seconds in which those who are there answer; they notice at about the same time.
_ANSWER = 3.0


def is_of_the_connection(error: BaseException) -> bool:
    """Whether torch says that another process is gone or does not answer."""
    return isinstance(error, RuntimeError) and _CONNECTION.search(str(error)) is not None


class RollCall:
    """The list of processes in a store: where each runs, which failed and why, which are still there.

    `store` None: nothing can be asked, so nobody is named. `timeout`: seconds that the others are waited for.
    """

    def __init__(self, store: Any, rank: int, size: int, timeout: float) -> None:
        self.store, self.rank, self.size, self.timeout = store, rank, size, timeout
        self._put(f"where/{rank}", f"{socket.gethostname()}, process {os.getpid()}")

    def leave_word(self, error: BaseException) -> None:
        """This process leaves for a reason of its own."""
        code = int(getattr(error, "exit_code", 1))
        self._put(f"failed/{self.rank}", json.dumps({"code": code, "what": str(error) or type(error).__name__}))

    def missing(self, error: BaseException) -> BaseException:
        """What happened, as an error: TaskError with what another process says went wrong, or RankLost."""
        late = _LATE.search(str(error)) is not None
        self._put(f"here/{self.rank}", "yes")
        until = time.monotonic() + _ANSWER
        others = [rank for rank in range(self.size) if rank != self.rank]
        while time.monotonic() < until and not self._failed() and any(not self._get(f"here/{r}") for r in others):
            time.sleep(0.05)
        if (failed := self._failed()) is not None:
            rank, what = failed
            return TaskError(f"process {rank} of {self.size} failed: {what['what']}")
        return RankLost(self._said([rank for rank in others if not self._get(f"here/{rank}")], late))

    def silent(self, rank: int) -> bool:
        """Whether a process neither answered nor left word, in twice the time that this one was given."""
        until = time.monotonic() + _ANSWER
        while time.monotonic() < until and not (self._get(f"here/{rank}") or self._get(f"failed/{rank}")):
            time.sleep(0.05)
        return not (self._get(f"here/{rank}") or self._get(f"failed/{rank}"))

    def leave(self) -> None:
        """This process has heard that there is nothing more to do."""
        self._put(f"left/{self.rank}", "yes")

    def see_off(self) -> None:
        """Wait, some seconds at most, until the others have left: what they hear it from may go with this process."""
        if self.store is None:
            return
        until, others = time.monotonic() + _ANSWER, [rank for rank in range(self.size) if rank != self.rank]
        while time.monotonic() < until and not all(self._get(f"left/{rank}") for rank in others):
            time.sleep(0.01)

    def _said(self, gone: list[int], late: bool) -> str:
        names = [f"{rank}{f' ({place})' if (place := self._get(f'where/{rank}')) else ''}" for rank in gone]
        who = f"process{'es' if len(gone) > 1 else ''} {', '.join(names)} of {self.size}" if gone else "another process"
        if late:
            return (
                f"{who} did not answer for {self.timeout:g} s, so this run ends (LRTOOL_RANK_TIMEOUT sets the seconds)"
            )
        return f"{who} died, so this run ends"

    def _failed(self) -> tuple[int, Any] | None:
        """A process that left word, the first of them that was not only told by others."""
        for rank in range(self.size):
            if rank != self.rank and (text := self._get(f"failed/{rank}")):
                return rank, json.loads(text)
        return None

    def _put(self, key: str, value: str) -> None:
        # A store that is gone, as its process is, cannot be told anything.
        if self.store is not None:
            with suppress(RuntimeError):
                self.store.set(f"lrtool/{key}", value)

    def _get(self, key: str) -> str:
        if self.store is None:
            return ""
        with suppress(RuntimeError):
            if self.store.check([f"lrtool/{key}"]):
                return str(bytes(self.store.get(f"lrtool/{key}")).decode())
        return ""


def waited(store: Any, key: str) -> bytes:
    """What a store has under a key, as soon as it is there: however long that takes."""
    pause = 0.001
    while not store.check([key]):
        # A wait inside the store would hear no signal, and gives up after a time that it has to be told.
        time.sleep(pause)
        pause = min(2 * pause, 0.05)
    return bytes(store.get(key))
