"""Errors of a task's own code as one clear message: what failed, and the line of the user's file."""

from __future__ import annotations

import os
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lrtool.errors import LrtoolError, TaskError
from lrtool.printable import brief
from lrtool.tasks.remedies import remedy_for

_PACKAGE = f"{Path(__file__).resolve().parents[1]}{os.sep}"
_INSTALLED = tuple(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")


@contextmanager
def guarded(doing: str, where: str | None = None, remedy: str | None = None) -> Iterator[None]:
    """Run the task's code; what it raises becomes a TaskError. lrtool's own errors and Ctrl-C pass."""
    try:
        yield
    except LrtoolError:
        raise
    except (Exception, SystemExit) as error:
        raise task_error(error, doing, where, remedy) from error


def task_error(error: BaseException, doing: str, where: str | None = None, remedy: str | None = None) -> TaskError:
    """A TaskError for what the task's code raised while `doing` (a noun phrase, such as "the model's forward pass").

    The place is the last line of the user's own code that was running, `where` if none was. Running out of
    memory gets its own message, with the remedy.
    """
    place = _place(error) or where
    if isinstance(error, MemoryError) or any(word in str(error).lower() for word in _MEMORY):
        return TaskError(
            f"{doing} ran out of memory ({_first_line(error)})",
            where=place,
            remedy="try a smaller data.batch_size (train.accumulate keeps the samples per update) or a smaller model",
        )
    return TaskError(f"{doing} raised {_first_line(error)}", where=place, remedy=remedy_for(error) or remedy)


def _first_line(error: BaseException) -> str:
    """The error in one line that can be read; the whole text is its cause, which `log.txt` keeps."""
    text = brief(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _place(error: BaseException) -> str | None:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith((_PACKAGE, "<"))]
    own = [f for f in frames if not f.filename.startswith(_INSTALLED)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else None
