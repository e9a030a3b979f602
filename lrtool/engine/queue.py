"""The queue of trials that the workers of one call share."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from lrtool.engine.observer import Observer
from lrtool.engine.trials import Evaluation, Trace, Trial


class WorkQueue(Protocol):
    """Interface of a queue as a worker sees it: asked for trials, told what became of them.

    `lock` guards torch's generator while models are built.
    """

    lock: threading.RLock

    def next(self) -> tuple[int, Trial] | None:
        """The next trial that waits, and its number."""
        ...

    def recorded(self, number: int, trace: Trace, start: int) -> None:
        """A trial has new entries from index `start` on."""
        ...

    def rewound(self, number: int, trace: Trace) -> None:
        """A trial that diverged went back to an earlier update."""
        ...

    def evaluated(self, number: int, evaluation: Evaluation) -> None:
        """A trial was validated."""
        ...

    def ended(self, number: int, trace: Trace) -> None:
        """A trial is over."""
        ...


class Queue:
    """The queue that the workers of one call share: trials that wait, traces that are done, and the observer.

    One lock guards it all, and the building of models too, since that draws from torch's generator.
    """

    def __init__(self, trials: Sequence[Trial], observer: Observer | None) -> None:
        self.lock = threading.RLock()
        self._waiting = deque(enumerate(trials))
        self._observer = observer
        self._traces: dict[int, Trace] = {}
        if observer is not None:
            observer.begin(trials)

    @property
    def watched(self) -> bool:
        """Whether anybody observes."""
        return self._observer is not None

    @property
    def traces(self) -> list[Trace]:
        """The traces, in the order of the trials."""
        return [self._traces[number] for number in sorted(self._traces)]

    def next(self) -> tuple[int, Trial] | None:
        """The next trial that waits."""
        with self.lock:
            return self._waiting.popleft() if self._waiting else None

    def recorded(self, number: int, trace: Trace, start: int) -> None:
        """A trial has new entries."""
        if self._observer is not None and trace.steps > start:
            with self.lock:
                self._observer.recorded(number, trace, start)

    def rewound(self, number: int, trace: Trace) -> None:
        """A trial went back."""
        if self._observer is not None:
            with self.lock:
                self._observer.rewound(number, trace)

    def evaluated(self, number: int, evaluation: Evaluation) -> None:
        """A trial was validated."""
        if self._observer is not None:
            with self.lock:
                self._observer.evaluated(number, evaluation)

    def ended(self, number: int, trace: Trace) -> None:
        """A trial is over."""
        with self.lock:
            self._traces[number] = trace
            if self._observer is not None:
                self._observer.ended(number, trace)
