"""Finding a user's files, with a clear error where they are not."""

from __future__ import annotations

import contextlib
from pathlib import Path

from lrtool.errors import UsageError, closest
from lrtool.reading import at_home, check_regular, exists
from lrtool.tasks.base import BuildContext


def find(path: str, context: BuildContext, *, folder: bool = False) -> Path:
    """The file (or folder) at a path that starts from the config's folder; UsageError names near misses."""
    found = context.folder / at_home(path)
    if _is_folder(found) if folder else exists(found):
        return found
    if not folder:
        _check_sort(found)
    what = "folder" if folder else "file"
    names = [entry.name for entry in found.parent.iterdir()] if _is_folder(found.parent) else []
    near = closest(found.name, names)
    hint = f"did you mean {near!r}?" if near else "relative paths start from the config's folder"
    raise UsageError(f"there is no {what} {found.absolute()}", where="data.path", remedy=hint)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _check_sort(path: Path) -> None:
    """Raise UsageError where something is there, but no file."""
    with contextlib.suppress(OSError):
        check_regular(path)
