"""How SQLite keeps a transaction whole: by a write-ahead log where the file system has what that needs."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from lrtool.runs.file_system import is_network, kind_of

#: What SQLite says of a disk that fails, and not of one on which there can be no write-ahead log.
_FAILS = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_TRUNCATE")


def choose_journal(database: sqlite3.Connection, file: Path, say: Callable[[str], None]) -> None:
    """Set the journal of a database by what its file system can do; `say` hears where that is the slower one.

    A write-ahead log is memory that all readers and writers map, which no network file system offers: there every
    transaction is a rollback journal, and on the disk before the next begins.

    Source: https://www.sqlite.org/wal.html, "All processes using a database must be on the same host computer".
    """
    kind = kind_of(file.parent)
    if not is_network(kind) and _set(database, "WAL") == "wal":
        # What is committed survives the death of the process; `SweepStore.close` makes it survive a power cut.
        database.execute("PRAGMA synchronous = NORMAL")
        return
    _set(database, "DELETE")
    database.execute("PRAGMA synchronous = FULL")
    where = f"on a network file system ({kind})" if is_network(kind) else "where no write-ahead log can be kept"
    say(f"{file.name} lies {where}: a rollback journal is written instead; one machine at a time may write to it")


def _set(database: sqlite3.Connection, mode: str) -> str:
    """Ask for a journal; gives the one that there is then."""
    try:
        return str(database.execute(f"PRAGMA journal_mode = {mode}").fetchone()[0])
    except sqlite3.OperationalError as error:
        if mode != "WAL" or getattr(error, "sqlite_errorname", "") in _FAILS:
            raise
        return ""
