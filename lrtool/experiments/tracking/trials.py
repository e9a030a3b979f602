"""Trials of a sweep as loggers are told of them, and the board that tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lrtool.experiments.sweep.options import Board
from lrtool.loggers.names import Names
from lrtool.loggers.records import EndedTrial
from lrtool.runs.sweep.stored_trial import StoredTrial

#: What names of final values begin with: those of a training's summary do.
FINAL = "summary/final."


class TrackedBoard:
    """A board of a sweep that passes everything on, and tells loggers of trials that ended."""

    def __init__(self, board: Board, tell: Callable[[StoredTrial, bool], None]) -> None:
        self._board, self._tell = board, tell

    def begin(self, trials: int, known: Sequence[StoredTrial], work: float | None = None) -> None:
        """Training starts; what is known already may have been logged, or not."""
        self._board.begin(trials, known, work)
        for trial in known:
            self._tell(trial, True)

    def worked(self, runs: float) -> None:
        """A part of a run was trained."""
        self._board.worked(runs)

    def note(self, text: str) -> None:
        """Something to know."""
        self._board.note(text)

    def advanced(self, steps: int) -> None:
        """Updates were done."""
        self._board.advanced(steps)

    def ended(self, trial: StoredTrial) -> None:
        """A trial has ended, and is recorded."""
        self._board.ended(trial)
        self._tell(trial, False)


def record_of(trial: StoredTrial, names: Names) -> EndedTrial:
    """A stored trial under the names that loggers share; a point of its curve belongs to the last update before it."""
    curve = {names[name]: np.asarray(values) for name, values in trial.curve.items() if name != "step"}
    if curve:
        curve["step"] = np.asarray(trial.curve["step"]) - 1
    values = {f"{FINAL}{names[name]}": value for name, value in trial.values.items()}
    values |= {"summary/steps": float(trial.steps), "summary/seconds": trial.seconds}
    settings = {**trial.settings, "seed": trial.seed}
    return EndedTrial(trial.number, trial.variant, settings, trial.status, trial.message, values, curve)
