"""Files that are either whole or not there: written aside, fsynced, renamed."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrtool.errors import OutputError

#: Of a folder that is synced, what is an error; some systems cannot do it at all.
_FAILING = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS)
#: What a file is called until it is whole; one that is found belonged to a process that was killed.
_ASIDE = ".part"
_LEFT_BEHIND = re.compile(rf"\..+\.[a-z0-9_]{{8}}({re.escape(_ASIDE)})?")


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; raises OutputError with the path and what to do."""
    write_together(path.parent, {path.name: data})


def write_together(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files of one folder, each whole or not at all; none is there before all are on the disk.

    They get their names in this order: who finds the last one has all of them. Raises OutputError.
    """
    aside: dict[str, Path] = {}
    name = next(iter(files), "")
    try:
        for name, data in files.items():
            aside[name] = _written_aside(folder, name, data)
        for name, temporary in aside.items():
            temporary.replace(folder / name)
        sync_folder(folder)
    except OSError as error:
        raise output_error(folder / name, error) from None
    finally:
        for temporary in aside.values():
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _written_aside(folder: Path, name: str, data: bytes) -> Path:
    handle, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=_ASIDE, dir=folder)
    try:
        try:
            write_all(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)
        Path(temporary).chmod(0o666 & ~_umask())
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    return Path(temporary)


def write_all(handle: int, data: bytes) -> None:
    """Write everything: the system may take a part at a time. Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def check_there(path: Path, handle: int) -> None:
    """Raise OSError where an open file is not to be found under its path any more: what is written there is lost."""
    here = os.fstat(handle)
    there = path.stat()
    if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
        raise FileNotFoundError(errno.ENOENT, "it was removed, or replaced by another, while lrtool wrote to it")


def remove_left_behind(folder: Path) -> None:
    """Remove what a process that was killed had not finished writing; only for who holds the folder's lock."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if _LEFT_BEHIND.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.unlink()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole or not at all."""
    write_bytes(path, text.encode())


def write_output(path: Path, data: str | bytes) -> None:
    """Write a file that the user names, whole or not at all; what is no file is written to, and not replaced by one.

    So `/dev/stdout`, a pipe and `/dev/null` take it as they do from any program. Raises OutputError.
    """
    content = data.encode() if isinstance(data, str) else data
    if not _is_device(path):
        write_bytes(path, content)
        return
    try:
        with path.open("wb") as file:
            file.write(content)
    except OSError as error:
        raise output_error(path, error) from None


def _is_device(path: Path) -> bool:
    """Whether a device, a pipe or a socket is there, or one of the names by which a process's own streams go."""
    try:
        found = path.stat().st_mode
    except OSError:
        return False
    # Standard output may be a file: /dev/stdout then leads to it, and is still no place for another file.
    streams = path.parent in (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd"))
    return streams or not (stat.S_ISREG(found) or stat.S_ISDIR(found))


def write_json(path: Path, document: Any) -> None:
    """Write JSON whole or not at all; NaN and infinities, which JSON lacks, become null."""
    write_text(path, json.dumps(finite(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def finite(document: Any) -> Any:
    """The same document with null in place of every NaN and infinity."""
    match document:
        case float():
            return document if math.isfinite(document) else None
        case dict():
            return {key: finite(value) for key, value in document.items()}
        case list() | tuple():
            return [finite(value) for value in document]
    return document


def output_error(path: Path, error: OSError) -> OutputError:
    """What an operating system's refusal means for the user."""
    return OutputError(
        f"cannot write here: {error.strerror or error}",
        where=str(path),
        remedy="choose a folder that can be written with --output DIR, or make room on the disk",
    )


def sync_folder(folder: Path) -> None:
    """Make renames in this folder survive a power cut, where the system can; raises OSError where the disk fails."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno in _FAILING:
            raise
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
