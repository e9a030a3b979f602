"""Whether a database is one that lrtool made: a stranger's may compute without end when it is read."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from lrtool.errors import UsageError
from lrtool.printable import one_line
from lrtool.reading import MEBI

#: No value in a database is larger; those of a stranger's may be.
_MOST_BYTES = 64 * MEBI


def check_plain(database: sqlite3.Connection, file: Path) -> None:
    """Raise UsageError where a database has more than tables: views and triggers may compute without end."""
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_BYTES)
    found = database.execute("SELECT type, name FROM sqlite_master WHERE type NOT IN ('table', 'index')").fetchone()
    if found is not None:
        raise UsageError(
            f"this is not a database that lrtool made: it has a {found[0]}, {one_line(str(found[1]))}",
            where=str(file), remedy="give the folder of a run that `lrtool sweep` made",
        )  # fmt: skip
