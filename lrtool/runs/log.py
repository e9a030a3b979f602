"""`log.txt`: what lrtool's loggers say while a command runs."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from lrtool.printable import printable
from lrtool.runs.atomic import output_error
from lrtool.runs.links import opened

_FORMAT = "%(asctime)s %(levelname)s %(message)s"


class _OwnFile(logging.FileHandler):
    """Appends to a file that is no link; `failed` is what first kept it from that."""

    failed: OSError | None = None

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handleError(record)
        elif self.failed is None:
            self.failed = error

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:
            self.failed = self.failed or error

    def _open(self) -> TextIOWrapper:
        handle = opened(Path(self.baseFilename), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        return os.fdopen(handle, "a", encoding="utf-8", errors="backslashreplace")


class _OneLine(logging.Formatter):
    """A line a message: names and texts of a config cannot begin another. Tracebacks are indented below theirs."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:  # noqa: N802
        lines = super().formatException(ei).splitlines()  # type: ignore[arg-type]
        return "\n".join(f"    {printable(line)}" for line in lines)


@contextmanager
def logged(path: Path) -> Iterator[None]:
    """Messages of the logger `lrtool` and those below it are appended to a file while this lasts.

    Raises OutputError where the file cannot be opened or, at the end, something could not be written to it; UsageError
    where it would lead out of its folder.
    """
    logger = logging.getLogger("lrtool")
    try:
        handler = _OwnFile(path)
    except OSError as error:
        raise output_error(path, error) from None
    handler.setFormatter(_OneLine(_FORMAT))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()
    if handler.failed is not None:
        raise output_error(path, handler.failed)
