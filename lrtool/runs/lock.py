"""The lock of a run folder: one process at a time, until that process ends, however it ends."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import socket
import sys
import weakref
from datetime import datetime
from pathlib import Path

from lrtool.errors import UsageError
from lrtool.runs.atomic import output_error
from lrtool.runs.links import opened

#: What file systems without locks answer.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
#: The byte that is locked on Windows, where a locked one cannot be read: far beyond what is written.
_BYTE = 2**30

_LOG = logging.getLogger("lrtool")


class FolderLock:
    """The right to change a folder, taken when made, until `close` or the end of this process.

    The system keeps it, not the file's being there: a killed process leaves none behind. A process that was forked off
    does not have it, so it cannot keep it from the next either. The file says who has it.
    """

    def __init__(self, file: Path, what: str) -> None:
        """Take the lock of a `what` (a run, a sweep).

        Raises UsageError where another process has it, OutputError where the file cannot be made.
        """
        try:
            self._handle: int | None = opened(file, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise output_error(file, error) from None
        try:
            if not _taken(self._handle, file):
                raise UsageError(
                    f"another process is working on this {what}{_holder(self._handle)}",
                    where=str(file.parent),
                    remedy="wait until it ends, or stop it; then resume",
                )
            _write_holder(self._handle)
        except BaseException:
            self.close()
            raise
        _HELD.add(self)

    def close(self) -> None:
        """Let others have it; closing twice is fine."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


#: What a forked child must let go of. Closing its copy of a descriptor leaves the parent's lock alone.
_HELD: weakref.WeakSet[FolderLock] = weakref.WeakSet()


def _let_go() -> None:
    for lock in list(_HELD):
        lock.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


def _taken(handle: int, file: Path) -> bool:
    """Whether the lock could be had; where the file system has none, it is said and taken for granted."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(handle, _BYTE, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
            return False
        if error.errno not in _NO_LOCKS:
            raise output_error(file, error) from None
        _LOG.warning("%s: this file system has no locks; see to it that no second process resumes this run", file)
    return True


def _write_holder(handle: int) -> None:
    """Who has the lock, for whoever is refused; nothing depends on it, so a full disk is no failure."""
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": now}
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, (json.dumps(holder) + "\n").encode())


def _holder(handle: int) -> str:
    """Who has the lock, as far as its file says."""
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        found = json.loads(os.read(handle, 1000))
        return f" (process {found['pid']} on {found['host']}, since {found['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
