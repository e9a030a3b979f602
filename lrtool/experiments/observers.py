"""Observers of an engine: what makes them, several as one, and one over several calls."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol

from lrtool.engine.observer import Observer
from lrtool.engine.trials import Evaluation, Trace, Trial


class ObserverFactory(Protocol):
    """Makes the observer that shows the progress of `trials` of `steps` updates each.

    `done`: updates of the first trial that were made before, as of a resumed run.
    """

    def __call__(self, trials: int, steps: int, done: int = 0, /) -> Observer:
        """The observer."""
        ...


class Observers(Observer):
    """Passes every report on to each observer, in order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def begin(self, trials: Sequence[Trial], first: int = 0) -> None:
        """Pass on which trials are to be trained."""
        for observer in self._observers:
            observer.begin(trials, first)

    def recorded(self, trial: int, trace: Trace, start: int) -> None:
        """Pass on new entries."""
        for observer in self._observers:
            observer.recorded(trial, trace, start)

    def rewound(self, trial: int, trace: Trace) -> None:
        """Pass on that a trial went back."""
        for observer in self._observers:
            observer.rewound(trial, trace)

    def evaluated(self, trial: int, evaluation: Evaluation) -> None:
        """Pass on an evaluation."""
        for observer in self._observers:
            observer.evaluated(trial, evaluation)

    def ended(self, trial: int, trace: Trace) -> None:
        """Pass on the end of a trial."""
        for observer in self._observers:
            observer.ended(trial, trace)

    def close(self) -> None:
        """Close every one, also where another one cannot be closed."""
        with ExitStack() as stack:
            for observer in reversed(self._observers):
                stack.callback(observer.close)


class Renumbered(Observer):
    """An observer whose trials have these numbers; of those beyond it hears nothing."""

    def __init__(self, observer: Observer, numbers: Sequence[int]) -> None:
        self._observer, self._numbers = observer, numbers

    def begin(self, trials: Sequence[Trial], first: int = 0) -> None:
        """Pass on which trials are to be trained."""
        for number, trial in zip(self._numbers, trials, strict=False):
            self._observer.begin([trial], number)

    def recorded(self, trial: int, trace: Trace, start: int) -> None:
        """Pass on new entries."""
        if trial < len(self._numbers):
            self._observer.recorded(self._numbers[trial], trace, start)

    def rewound(self, trial: int, trace: Trace) -> None:
        """Pass on that a trial went back."""
        if trial < len(self._numbers):
            self._observer.rewound(self._numbers[trial], trace)

    def evaluated(self, trial: int, evaluation: Evaluation) -> None:
        """Pass on an evaluation."""
        if trial < len(self._numbers):
            self._observer.evaluated(self._numbers[trial], evaluation)

    def ended(self, trial: int, trace: Trace) -> None:
        """Pass on the end of a trial."""
        if trial < len(self._numbers):
            self._observer.ended(self._numbers[trial], trace)


class Offset(Observer):
    """An observer whose trials are numbered on from those of earlier calls."""

    def __init__(self, observer: Observer, offset: int) -> None:
        self._observer, self._offset = observer, offset

    def begin(self, trials: Sequence[Trial], first: int = 0) -> None:
        """Pass on which trials are to be trained."""
        self._observer.begin(trials, self._offset + first)

    def recorded(self, trial: int, trace: Trace, start: int) -> None:
        """Pass on new entries."""
        self._observer.recorded(self._offset + trial, trace, start)

    def rewound(self, trial: int, trace: Trace) -> None:
        """Pass on that a trial went back."""
        self._observer.rewound(self._offset + trial, trace)

    def evaluated(self, trial: int, evaluation: Evaluation) -> None:
        """Pass on an evaluation."""
        self._observer.evaluated(self._offset + trial, evaluation)

    def ended(self, trial: int, trace: Trace) -> None:
        """Pass on the end of a trial."""
        self._observer.ended(self._offset + trial, trace)

    def close(self) -> None:
        """Close the observer."""
        self._observer.close()
