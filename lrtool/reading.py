"""Reading files that somebody else may have made: only files, and no more of them than there can sensibly be."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from lrtool.errors import UsageError

#: Never waiting for the other end of a pipe; 0 where the system has no such flag.
_CAREFUL = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
MEBI = 2**20


def at_home(path: str) -> Path:
    """A path with `~` and `~user` put in; as it is where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def exists(path: Path) -> bool:
    """Whether there is a file; a path that no file can have (too long, with a NUL) has none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def check_regular(path: Path, most: int | None = None) -> None:
    """Raise UsageError where a path leads to a device, a pipe or a socket, or a file has over `most` bytes.

    A path that leads nowhere is left to whoever opens it; one that cannot lead anywhere raises OSError.
    """
    try:
        found = path.stat()
    except ValueError:
        raise OSError(0, "no file can have such a name", str(path)) from None
    if stat.S_ISDIR(found.st_mode):
        return
    if not stat.S_ISREG(found.st_mode):
        raise UsageError("this is no file, but a device, a pipe or a socket", where=str(path), remedy="give a file")
    if most is not None and found.st_size > most:
        raise _too_large(path, f"{found.st_size / MEBI:,.0f} MiB", most)


def read_file(path: Path, most: int) -> bytes:
    """The bytes of a file; UsageError where it is none, or has over `most`. Raises OSError as `open` does."""
    check_regular(path, most)
    with os.fdopen(os.open(path, _CAREFUL), "rb") as file:
        # What was opened is what counts: it may have been exchanged, or grown, since.
        data = file.read(most + 1)
    if len(data) > most:
        raise _too_large(path, f"over {most / MEBI:,.0f} MiB", most)
    return data


def _too_large(path: Path, size: str, most: int) -> UsageError:
    return UsageError(
        f"this file has {size}, but at most {most / MEBI:,.0f} MiB are read", where=str(path), remedy="give another"
    )
