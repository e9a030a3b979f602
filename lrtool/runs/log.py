"""`log.txt`: what lrtool's loggers say while a command runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lrtool.runs.atomic import output_error

_FORMAT = "%(asctime)s %(levelname)s %(message)s"


@contextmanager
def logged(path: Path) -> Iterator[None]:
    """Messages of the logger `lrtool` and those below it are appended to a file while this lasts.

    Raises OutputError where the file cannot be opened.
    """
    logger = logging.getLogger("lrtool")
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise output_error(path, error) from None
    handler.setFormatter(logging.Formatter(_FORMAT))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()
