"""Training in several processes of this machine: threads of one process wait for each other's Python.

A child inherits the task and any compiled update by forking, so nothing has to be sent but numbers of trials, what
was measured, and traces. The parent keeps the queue and the observer.
"""

from __future__ import annotations

import mmap
import multiprocessing
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch

from lrtool.children import GONE, Child, heard
from lrtool.engine import clock
from lrtool.engine.interrupts import Interrupts
from lrtool.engine.queue import Queue, WorkQueue
from lrtool.engine.trials import Array, Evaluation, Recovery, Trace, Trial
from lrtool.errors import Interrupted, LrtoolError, TaskError
from lrtool.status import Status

#: What trains a child's share of the trials, given its queue and what is called between chunks.
Train = Callable[[WorkQueue, Callable[[], None]], None]

#: Seconds between two looks for a signal while workers train.
LOOK = 0.2
#: What the shared byte says besides the number of a signal: go on, or another worker has failed.
_GO_ON, _FAILED = 0, 255


class Elsewhere(KeyboardInterrupt):
    """Raised in a worker that stops because another one failed."""


def can_fork(device: torch.device) -> bool:
    """Whether children may go on with what torch has set up here.

    Not with an accelerator in the machine, whose autograd threads a child would lack, nor on systems whose
    libraries do not allow it, nor in a process that may have no children itself (daemonic).
    """
    if multiprocessing.current_process().daemon:
        return False
    return sys.platform == "linux" and device.type == "cpu" and not torch.accelerator.is_available()


class Halt:
    """A stop flag that all processes see: one byte, go on or why to stop."""

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def set(self, signum: int = _FAILED) -> None:
        """Stop everybody; the first reason stands."""
        if self._byte[0] == _GO_ON:
            self._byte[0] = signum

    def check(self) -> None:
        """Raise where work is to stop: Interrupted after a signal, Elsewhere after another worker's failure."""
        match self._byte[0]:
            case 0:
                return
            case 255:
                raise Elsewhere("another trial's failure ended the run")
            case signum:
                raise Interrupted(signum)


def train_in_processes(train: Train, trials: Sequence[Trial], queue: Queue, count: int, interrupts: Interrupts) -> None:
    """Train the trials of `queue` in so many children; the first error, or a signal, stops them all between chunks."""
    desk = _Desk(trials, queue)
    children: list[Child] = []
    try:
        # One by one: those that were started are ended, too, where the next one cannot be.
        children.extend(Child("fork", _train_share, trials, queue.watched, desk.halt, train) for _ in range(count))
        busy, look = list(children), time.monotonic() + LOOK
        while busy:
            for child, message in heard(busy, LOOK):
                if message is GONE:
                    desk.fail(_lost(child))
                elif message is not None:
                    desk.hear(child, *message)
                    continue
                busy.remove(child)
            if time.monotonic() >= look:
                # Not at once: whoever is asked to stop has done a chunk by then, which is worth keeping.
                look = time.monotonic() + LOOK
                if interrupts.pending is not None:
                    desk.halt.set(interrupts.pending)
    finally:
        for child in children:
            child.kill()
    clock.waited_for(desk.worked)
    interrupts.check()
    raise_first(desk.errors)


def raise_first(errors: Sequence[BaseException]) -> None:
    """Raise the first error that is a worker's own, if there is one."""
    for error in errors:
        if not isinstance(error, Elsewhere):
            raise error


class _Desk:
    """Where children ask for trials and tell of them, in the process that started them.

    `errors` are those of the children and of the observer; the first one halts them all. `worked`: how long each child
    lived, and worked.
    """

    def __init__(self, trials: Sequence[Trial], queue: Queue) -> None:
        self._trials, self._queue, self.halt = trials, queue, Halt()
        self._traces: dict[int, _Mirror] = {}
        self.errors: list[BaseException] = []
        self.worked: list[tuple[float, float]] = []

    def hear(self, child: Child, kind: str, *values: Any) -> None:
        """Answer a child; an observer's failure halts all, but what children still report is taken."""
        try:
            self._answer(child, kind, *values)
        except Exception as error:
            if kind != "ended":
                self._traces[values[0]].failure = str(error)
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Nobody goes on after this."""
        self.errors.append(error)
        self.halt.set()

    def _answer(self, child: Child, kind: str, *values: Any) -> None:
        traces = self._traces
        match kind, values:
            case "next", ():
                waiting = self._queue.next()
                child.send(None if waiting is None else waiting[0])
            case "recorded", (number, start, columns):
                mirror = traces.setdefault(number, _Mirror(self._trials[number]))
                mirror.extend(start, columns)
                self._queue.recorded(number, mirror.trace, start)
            case "rewound", (number, steps, recoveries):
                mirror = traces.setdefault(number, _Mirror(self._trials[number]))
                mirror.cut(steps, recoveries)
                self._queue.rewound(number, mirror.trace)
            case "evaluated", (number, evaluation):
                traces[number].trace.evaluations.append(evaluation)
                self._queue.evaluated(number, evaluation)
            case "ended", (number, trace):
                trace.trial = self._trials[number]
                if number in traces and (failure := traces.pop(number).failure) is not None:
                    trace.status, trace.reason = Status.FAILED, failure
                self._queue.ended(number, trace)
            case "failed", (error,):
                self.fail(error)
            case "worked", (lived, worked):
                self.worked.append((lived, worked))


class _Far:
    """The parent's queue, seen from a child."""

    def __init__(self, connection: Connection, trials: Sequence[Trial], watched: bool) -> None:
        self.lock = threading.RLock()
        self._connection, self._trials, self._watched = connection, trials, watched

    def next(self) -> tuple[int, Trial] | None:
        """The next trial that waits."""
        self._connection.send(("next",))
        number = self._connection.recv()
        return None if number is None else (number, self._trials[number])

    def recorded(self, number: int, trace: Trace, start: int) -> None:
        """A trial has new entries."""
        if self._watched and trace.steps > start:
            columns = {name: values[start:] for name, values in _columns(trace).items()}
            self._connection.send(("recorded", number, start, columns))

    def rewound(self, number: int, trace: Trace) -> None:
        """A trial went back."""
        if self._watched:
            self._connection.send(("rewound", number, trace.steps, trace.recoveries))

    def evaluated(self, number: int, evaluation: Evaluation) -> None:
        """A trial was validated."""
        if self._watched:
            self._connection.send(("evaluated", number, evaluation))

    def ended(self, number: int, trace: Trace) -> None:
        """A trial is over."""
        trial, trace.trial = trace.trial, None  # type: ignore[assignment]  # its curves are functions; it is known
        self._connection.send(("ended", number, trace))
        trace.trial = trial


class _Mirror:
    """A trace in the parent that grows as its child reports."""

    def __init__(self, trial: Trial) -> None:
        empty = np.empty(0)
        self.trace = Trace(trial, Status.INTERRUPTED, empty, empty, empty)
        self.failure: str | None = None
        self._columns: dict[str, Array] = {}

    def extend(self, start: int, columns: Mapping[str, Array]) -> None:
        """Take the entries from `start` on."""
        end = start + len(columns["train_loss"])
        for name, values in columns.items():
            whole = self._columns.setdefault(name, np.full(self.trace.trial.steps, np.nan))
            whole[start:end] = values
        shown = {name: values[:end] for name, values in self._columns.items()}
        self.trace.train_loss, self.trace.lr, self.trace.seconds = (shown.pop(name) for name in _ALWAYS)
        self.trace.recorded.update(shown)

    def cut(self, steps: int, recoveries: list[Recovery]) -> None:
        """Forget what came after so many updates."""
        self.extend(steps, {name: np.empty(0) for name in (*_ALWAYS, *self._columns)})
        self.trace.evaluations[:] = [each for each in self.trace.evaluations if each.step <= steps]
        self.trace.recoveries[:] = recoveries


_ALWAYS = ("train_loss", "lr", "seconds")


def _columns(trace: Trace) -> dict[str, Array]:
    return {**{name: getattr(trace, name) for name in _ALWAYS}, **trace.recorded}


def _train_share(connection: Connection, trials: Sequence[Trial], watched: bool, halt: Halt, train: Train) -> None:
    """A child's life: train, and say how it ended."""
    began, busy = time.perf_counter(), clock.worked()
    # The parent hears it, and tells.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        train(_Far(connection, trials, watched), halt.check)
        connection.send(("worked", time.perf_counter() - began, clock.since(busy)))
    except (BrokenPipeError, EOFError):
        return
    except BaseException as error:
        connection.send(("failed", _sendable(error)))
    connection.send(None)


def _sendable(error: BaseException) -> BaseException:
    """The error, or one that says the same where it cannot be sent."""
    if isinstance(error, LrtoolError):
        return error
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _lost(child: Child) -> TaskError:
    return TaskError(
        f"a process that trained a part of the trials {child.fate}",
        remedy="memory may have run out: train fewer at once, or smaller batches",
    )
