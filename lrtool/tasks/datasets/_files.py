"""Finding a user's files, with a clear error where they are not."""

from __future__ import annotations

import difflib
from pathlib import Path

from lrtool.errors import UsageError
from lrtool.tasks.base import BuildContext


def find(path: str, context: BuildContext, *, folder: bool = False) -> Path:
    """The file (or folder) at a path that starts from the config's folder; UsageError names near misses."""
    found = context.folder / Path(path).expanduser()
    if found.is_dir() if folder else found.is_file():
        return found
    what = "folder" if folder else "file"
    names = [entry.name for entry in found.parent.iterdir()] if found.parent.is_dir() else []
    near = difflib.get_close_matches(found.name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "relative paths start from the config's folder"
    raise UsageError(f"there is no {what} {found.resolve()}", where="data.path", remedy=hint)
