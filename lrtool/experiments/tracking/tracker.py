"""The loggers of one command, from its first update to its summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lrtool.config.document import parse_document, write_yaml
from lrtool.engine.observer import Observer
from lrtool.experiments.tracking.observer import LoggerObserver
from lrtool.experiments.tracking.trials import record_of
from lrtool.loggers.background import Background
from lrtool.loggers.base import Logger
from lrtool.loggers.names import Names, flat, without_secrets
from lrtool.loggers.records import About, Ending
from lrtool.report import pictures
from lrtool.runs.sweep.stored_trial import StoredTrial
from lrtool.status import Status

#: What names from the summary begin with.
SUMMARY = "summary"


class Tracker:
    """Tells every logger of a command what it does. Without loggers it does nothing."""

    def __init__(self, loggers: Sequence[Logger], folder: Path, name: str, command: str, config: str) -> None:
        self._names = Names()
        self._loggers: list[Background] = []
        if loggers:
            data = without_secrets(parse_document(config, "config.yaml").data)
            about = About(folder, name, command, data, write_yaml(data), several=command == "sweep")
            self._loggers = [Background(logger, about) for logger in loggers]

    def observers(self, single: bool = False, anew: int | None = None) -> list[Observer]:
        """Observers of engines that pass on what they measure; `single`: of the command's only trial.

        `anew`: the update from which a resumed run differs from what it was before, so that it is logged again.
        """
        if anew is not None:
            for logger in self._loggers:
                logger.logged, logger.evaluated = min(logger.logged, anew), min(logger.evaluated, anew)
        return [LoggerObserver(logger, self._names, single) for logger in self._loggers]

    def trial(self, trial: StoredTrial, again: bool = False) -> None:
        """A trial of a sweep has ended; `again`: in a run before, so that loggers may know of it."""
        for logger in self._loggers:
            if not (again and trial.number in logger.trials):
                logger.tell(record_of(trial, self._names))

    def close(self, status: Status, summary: Mapping[str, Any], folder: Path) -> None:
        """The command is over, and everything is in its folder."""
        if not self._loggers:
            return
        if (waiting := pictures.waiting()) is not None:
            waiting.write(folder)
        names = Names()
        told = {f"{SUMMARY}/{names[name]}": value for name, value in flat(without_secrets(summary)).items()}
        ending = Ending(status, told, tuple(sorted(folder.glob("*.png"))))
        for logger in self._loggers:
            logger.close(ending)
