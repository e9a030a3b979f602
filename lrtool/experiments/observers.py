"""Several observers as one."""

from __future__ import annotations

from lrtool.engine.trials import Evaluation, Observer, Trace


class Observers:
    """Passes every report on to each observer, in order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def recorded(self, trial: int, trace: Trace, start: int) -> None:
        """Pass on new entries."""
        for observer in self._observers:
            observer.recorded(trial, trace, start)

    def evaluated(self, trial: int, evaluation: Evaluation) -> None:
        """Pass on an evaluation."""
        for observer in self._observers:
            observer.evaluated(trial, evaluation)

    def ended(self, trial: int, trace: Trace) -> None:
        """Pass on the end of a trial."""
        for observer in self._observers:
            observer.ended(trial, trace)
