"""Loggers: what else than the run folder hears of a training, one a file, found by its name."""

from __future__ import annotations

import os
from pathlib import Path

from lrtool.loggers.base import Logger
from lrtool.scanning import Scanned

__all__ = ["LOGGERS", "VARIABLE", "Logger", "opened"]

#: Every logger by its name.
LOGGERS: Scanned[Logger] = Scanned(Logger, __name__, "logger")
#: The environment variable that names the loggers of a command, with commas between.
VARIABLE = "LRTOOL_LOG"


def opened(folder: Path) -> list[Logger]:
    """The loggers that are wanted, for a run in `folder`; UsageError where there is none of a name."""
    names = [name.strip() for name in os.environ.get(VARIABLE, "").split(",")]
    for name in filter(None, names):
        if name not in LOGGERS.kinds:
            raise LOGGERS.unknown(name, where=VARIABLE)
    return [LOGGERS[name].open(folder) for name in dict.fromkeys(filter(None, names))]
