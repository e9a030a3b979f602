"""A logger at work: on a thread of its own, with a bounded queue, so that it can neither stop nor slow training."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from lrtool.loggers.base import Logger, LoggerRun
from lrtool.loggers.names import told
from lrtool.loggers.records import About, EndedTrial, Ending, Message, Rows, merged
from lrtool.runs.atomic import write_json

#: The folder, in the run's, of what a resumed run must know.
FOLDER = "logging"
#: Seconds between two writes at least, and the part of the time that writing may take while training goes on.
_EVERY, _SHARE = 1.0, 0.02
#: Updates that are written together while training goes on.
_TOGETHER = 64
#: Numbers that may wait: 64 MB.
_MOST = 8_000_000
#: Seconds to wait for a logger on this machine to begin: MLflow makes its database, which takes a while.
_OPENING = 120.0

_LOG = logging.getLogger("lrtool.loggers")


class Background:
    """Passes messages to a logger's run, in order. Nothing here raises; what goes wrong is said once.

    `logged` and `evaluated` are updates whose rows and evaluations the logger had before, as of a resumed run; `trials`
    the numbers of trials that it had.
    """

    def __init__(self, logger: Logger, about: About) -> None:
        self.logger, self._about = logger, about
        self._file = about.folder / FOLDER / f"{logger.kind}.json"
        self._state = _read(self._file)
        self.logged, self.evaluated = int(self._state.get("logged", 0)), int(self._state.get("evaluated", 0))
        self._trials_file = self._file.with_suffix(".trials")
        self.trials = _numbers(self._trials_file)
        self._queue: deque[Message] = deque()
        self._told = self._written = self._left_out = 0
        self._warned = self._dead = False
        self._busy_since: float | None = None
        self._began = self._used = 0.0
        self._opened, self._closing, self._done = threading.Event(), threading.Event(), threading.Event()
        try:
            threading.Thread(target=self._work, name=f"lrtool {logger.kind}", daemon=True).start()
        except RuntimeError as error:
            self._failed(error)
        if not logger.is_remote:
            self._opened.wait(_OPENING)

    def tell(self, message: Message) -> None:
        """Hand a message over; one for which there is no room is left out."""
        if self._dead:
            return
        if self._told - self._written + message.size > _MOST:
            self._left_out += 1
            self._warn(f"{self.logger.kind} is too slow: some of what was measured is left out")
            return
        self._told += message.size
        self._queue.append(message)

    def close(self, ending: Ending) -> None:
        """The last message; waits until all is written, for `timeout` seconds at most."""
        self._queue.append(ending)
        self._closing.set()
        since, timeout = self._busy_since, self.logger.timeout
        stuck = since is not None and time.monotonic() - since > timeout
        if not self._done.wait(0.0 if stuck else timeout):
            self._dead = True
            self._warn(
                f"{self.logger.kind} has not written everything within {timeout:g} seconds; the rest is left out"
                f" (write logging: [{{kind: {self.logger.kind}, timeout: {4 * timeout:g}}}] to wait longer)"
            )
        if self._left_out:
            _LOG.info("%s: %d reports were left out", self.logger.kind, self._left_out)

    def _work(self) -> None:
        """The thread's life."""
        try:
            self._busy_since = time.monotonic()
            run = self._logger_run()
            self._opened.set()
            self._began, self._used = time.monotonic(), time.thread_time()
            over = False
            while not over:
                self._busy_since = None
                over = self._closing.wait(_EVERY)
                self._drain(run, over)
        except BaseException as error:
            self._failed(error)
        finally:
            self._done.set()

    def _failed(self, error: BaseException) -> None:
        self._dead = True
        self._queue.clear()
        self._warn(f"{self.logger.kind} failed, and the run goes on without it: {told(error)}")
        self._opened.set()
        self._done.set()

    def _logger_run(self) -> LoggerRun:
        self._file.parent.mkdir(exist_ok=True)
        run = self.logger.open(self._about, self._state)
        self._save()
        return run

    def _drain(self, run: LoggerRun, over: bool) -> None:
        """Write what waits: all of it at the end (`over`), before as much as there is time for."""
        while self._queue and not self._dead and (over or self._has_time()):
            # Whoever gets on is not stuck.
            self._busy_since = time.monotonic()
            if not isinstance(self._queue[0], Rows):
                message = self._queue.popleft()
                self._take(run, message)
                self._written += message.size
                continue
            rows: list[Rows] = []
            while self._queue and isinstance(next_ := self._queue[0], Rows) and sum(map(_updates, rows)) < _TOGETHER:
                rows.append(next_)
                self._queue.popleft()
            self._write(run, rows)
            self._written += sum(each.size for each in rows)

    def _has_time(self) -> bool:
        """Whether what was written so far took its part of the time, or less."""
        return time.thread_time() - self._used <= _SHARE * (time.monotonic() - self._began)

    def _take(self, run: LoggerRun, message: Message) -> None:
        if isinstance(message, Ending):
            run.finish(message)
            self._save()
        elif isinstance(message, EndedTrial):
            self._trial(run, message)

    def _trial(self, run: LoggerRun, message: EndedTrial) -> None:
        run.trial(message)
        with self._trials_file.open("a") as file:
            file.write(f"{message.number}\n")

    def _write(self, run: LoggerRun, rows: list[Rows]) -> None:
        run.write(merged(rows))
        for each in rows:
            key = "evaluated" if each.is_evaluation else "logged"
            self._state[key] = max(int(self._state.get(key, 0)), int(each.steps[-1]) + 1)
        self._save()

    def _save(self) -> None:
        write_json(self._file, self._state)

    def _warn(self, text: str) -> None:
        """Say something, once in the life of a logger."""
        if self._warned:
            return
        self._warned = True
        _LOG.warning(text)
        # A run's log file is a handler, which keeps Python from showing what nobody else shows.
        if not logging.getLogger().handlers and sys.stderr is not None:
            sys.stderr.write(f"note: {text}\n")


def _updates(rows: Rows) -> int:
    return len(rows.steps)


def _read(file: Path) -> dict[str, Any]:
    """What was kept; nothing where there is no such file, or it is damaged."""
    try:
        state = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _numbers(file: Path) -> set[int]:
    try:
        return {int(line) for line in file.read_text().split() if line.isdigit()}
    except (OSError, ValueError):
        return set()
