"""The observer of an engine that hands what is measured to a logger."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from lrtool.engine.observer import Observer
from lrtool.engine.trials import Evaluation, Trace, Trial
from lrtool.loggers.background import Background
from lrtool.loggers.names import Names
from lrtool.loggers.records import Array, Rows


class LoggerObserver(Observer):
    """Hands on the columns of `metrics.csv` under their own names; of several trials as `name/number`.

    Of a long run not every update: what a logger takes for each would slow the training. All evaluations and the last
    update are among them.
    """

    def __init__(self, logger: Background, names: Names, single: bool = False) -> None:
        self._logger, self._names, self._single = logger, names, single
        self._strides: dict[int, tuple[int, int]] = {}

    def begin(self, trials: Sequence[Trial], first: int = 0) -> None:
        """How often each of these trials is logged depends on its length."""
        for number, trial in enumerate(trials, first):
            self._strides[number] = self._logger.logger.stride(trial.steps, self._single), trial.steps

    def recorded(self, trial: int, trace: Trace, start: int) -> None:
        """Hand on those of the new updates that are to be logged."""
        stride, steps = self._strides.get(trial, (1, trace.steps))
        first = max(start, self._logger.logged) if self._single else start
        # The updates that the stride meets, and the last.
        chosen = np.arange(first + -first % stride, trace.steps, stride)
        if first < trace.steps == steps and (steps - 1) % stride:
            chosen = np.append(chosen, steps - 1)
        self._tell(trial, trace, chosen)

    def rewound(self, trial: int, trace: Trace) -> None:
        """What is trained again is logged again."""
        logger = self._logger
        logger.logged, logger.evaluated = min(logger.logged, trace.steps), min(logger.evaluated, trace.steps)

    def evaluated(self, trial: int, evaluation: Evaluation) -> None:
        """Hand on an evaluation, as `metrics.csv` has it: with the last of the updates before it."""
        step = evaluation.step - 1
        if self._single and step < self._logger.evaluated:
            return
        columns = {name: np.array([value]) for name, value in evaluation.values.items()}
        self._logger.tell(
            Rows(np.array([step]), self._named(trial, columns), time.time(), frozenset(), is_evaluation=True)
        )

    def ended(self, trial: int, trace: Trace) -> None:
        """Hand on the last update of a trial that ended early."""
        stride, steps = self._strides.get(trial, (1, trace.steps))
        last = trace.steps - 1
        if 0 <= last < steps - 1 and last % stride and not (self._single and last < self._logger.logged):
            self._tell(trial, trace, np.array([last]))

    def _tell(self, trial: int, trace: Trace, steps: np.ndarray) -> None:
        if not len(steps):
            return
        columns = {"lr": trace.lr, "train_loss": trace.train_loss, **trace.recorded}
        chosen = self._named(trial, {name: column[steps] for name, column in columns.items()})
        lasting = frozenset(self._named(trial, dict.fromkeys(("train_loss",), trace.lr)))
        self._logger.tell(Rows(steps, chosen, time.time(), lasting))

    def _named(self, trial: int, columns: dict[str, Array]) -> dict[str, Array]:
        end = "" if self._single else f"/{trial}"
        return {f"{self._names[name]}{end}": column for name, column in columns.items()}
