"""Loggers: what else than the run folder hears of a command (TensorBoard, MLflow, W&B), one a file."""

from __future__ import annotations

import os
from collections.abc import Sequence

from lrtool.loggers.base import Logger
from lrtool.registry import Registry

__all__ = ["LOGGERS", "VARIABLE", "Logger", "wanted"]

#: Every logger by its kind.
LOGGERS: Registry[Logger] = Registry(Logger, __name__, "logger")
#: The environment variable that names further loggers of a command, with commas between.
VARIABLE = "LRTOOL_LOG"


def wanted(written: Sequence[Logger]) -> tuple[Logger, ...]:
    """The loggers of a command: those that its config has and, with their defaults, those that LRTOOL_LOG names.

    Each has its package loaded. Raises UsageError where there is none of a name, and MissingExtraError where a package
    is not installed: before anything is created.
    """
    loggers = {logger.kind: logger for logger in written}
    for name in filter(None, (name.strip() for name in os.environ.get(VARIABLE, "").split(","))):
        if name not in LOGGERS.kinds:
            raise LOGGERS.unknown(name, where=VARIABLE)
        if name not in loggers:
            loggers[name] = LOGGERS[name].model_validate({})
    for logger in loggers.values():
        logger.load()
    return tuple(loggers.values())
