"""Checks that what is written in a run folder stays in it: no link is followed, no file with a second name changed.

A run folder may come from somebody else (a colleague's archive, a shared disk). The folder itself, or one above it, may
be a link, as to a larger disk: the user named it. What is *inside* was named by whoever made it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from lrtool.errors import UsageError

#: Never through a link, and never waiting for the other end of a pipe; 0 where the system has no such flag.
_CAREFUL = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def opened(path: Path, flags: int) -> int:
    """A descriptor of a file that is to be changed in place; `flags` as for `os.open`.

    Raises UsageError where the file or its folder is a link, or it is no file or has a second name (a hard link), and
    OSError as `os.open` does.
    """
    check_folder(path.parent)
    check_file(path)
    handle = os.open(path, flags | _CAREFUL, 0o666)
    try:
        # What was opened is what counts: it may have been exchanged since.
        _check(path, os.fstat(handle), in_place=True)
    except BaseException:
        os.close(handle)
        raise
    return handle


def check_file(path: Path, *, in_place: bool = True) -> None:
    """Raise UsageError where a file is a link or no file, or is to be changed in place and has a second name."""
    found = _status(path)
    if found is not None:
        _check(path, found, in_place=in_place)


def check_folder(path: Path) -> None:
    """Raise UsageError where a folder is a link that was not named by the user.

    `latest`, `outputs` and what else leads to a run folder is followed before; see `RunFolder.open`.
    """
    found = _status(path)
    if found is not None and _is_link(found):
        raise _refused(path, "is a link")


def check_all(folder: Path) -> None:
    """Raise UsageError where anything in a run folder, however deep, is a link or neither file nor folder.

    A `latest` that names a folder beside it is what lrtool itself makes, as for the LR searches of a sweep.
    """
    for path, found in _below(folder):
        if _is_link(found) and _names_neighbour(path):
            continue
        if not stat.S_ISDIR(found.st_mode) or _is_link(found):
            _check(path, found, in_place=False)


def _below(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # whoever works here renames and removes
                continue
            yield Path(entry.path), found
            if stat.S_ISDIR(found.st_mode) and not _is_link(found):
                yield from _below(Path(entry.path))


def _names_neighbour(path: Path) -> bool:
    """Whether a link is a `latest` that leads to a folder beside it, which is looked at by itself."""
    try:
        target = path.readlink()
    except OSError:  # a junction
        return False
    if path.name != "latest" or str(target) != target.name or target.name == "..":
        return False
    beside = _status(path.parent / target)
    return beside is not None and stat.S_ISDIR(beside.st_mode) and not _is_link(beside)


def _check(path: Path, found: os.stat_result, *, in_place: bool) -> None:
    if _is_link(found):
        raise _refused(path, f"is a link{_target(path)}")
    if not stat.S_ISREG(found.st_mode):
        raise _refused(path, "is neither a file nor a folder")
    if in_place and found.st_nlink > 1:
        raise _refused(path, f"is a file with {found.st_nlink} names (hard links)")


def _refused(path: Path, what: str) -> UsageError:
    return UsageError(
        f"{path.name} {what}, and lrtool reads and changes nothing outside a run folder",
        where=str(path),
        remedy="remove it if this run is not yours; if it is, put a copy of the file or folder in its place",
    )


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError:
        return None


def _is_link(found: os.stat_result) -> bool:
    """Symbolic links, and on Windows everything else that leads elsewhere (junctions)."""
    junction = getattr(found, "st_file_attributes", 0) & getattr(stat, "FILE_ATTRIBUTE_REPARSE_POINT", 0)
    return stat.S_ISLNK(found.st_mode) or bool(junction)


def _target(path: Path) -> str:
    try:
        return f" to {path.readlink()}"
    except OSError:
        return ""
