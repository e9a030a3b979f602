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
    """Raise UsageError where a database has more than plain tables.

    What computes may do so without end, in one step of SQLite that no signal ends.
    """
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_BYTES)
    for kind, name, made in database.execute("SELECT type, name, sql FROM sqlite_master"):
        # What SQLite adds by itself: the index of a key, and statistics.
        if (kind == "index" and made is None) or str(name).startswith("sqlite_"):
            continue
        # Brackets within those of the columns compute: generated columns, constraints.
        if kind == "table" and str(made).startswith("CREATE TABLE") and str(made).count("(") == 1:
            continue
        what = "table that computes" if kind == "table" else kind
        raise UsageError(
            f"this is not a database that lrtool made: it has a {what}, {one_line(str(name))}",
            where=str(file), remedy="give the folder of a run that `lrtool sweep` made",
        )  # fmt: skip
