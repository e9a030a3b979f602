"""A sweep's database opened by who only reads it; whose it is, and of which version."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from lrtool.errors import UsageError
from lrtool.runs.links import check_file
from lrtool.runs.sweep.plain import check_plain
from lrtool.runs.sweep.salvage import filled_up

#: Raised whenever a column changes its meaning or goes away.
SCHEMA = 2


@contextmanager
def opened_to_read(file: Path) -> Iterator[sqlite3.Connection]:
    """A database for reading only; raises UsageError where it is not one of ours."""
    if not file.is_file():
        raise UsageError(
            "there is no sweep's database", where=str(file), remedy="give the folder of a run that `lrtool sweep` made"
        )
    check_files(file, in_place=False)
    try:
        with closing(_read_only(file)) as database:
            if version_of(database, file) == 0:
                raise not_ours(file)
            check_plain(database, file)
            yield database
    except sqlite3.DatabaseError as error:
        raise UsageError(
            f"the sweep's database cannot be read: {error}", where=str(file), remedy="run the sweep again"
        ) from None


def version_of(database: sqlite3.Connection, file: Path) -> int:
    """The schema that a database says it has, 0 where it says none; UsageError where a newer lrtool wrote it."""
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA:
        raise UsageError(
            f"the sweep's database has schema {version}, but this lrtool reads up to {SCHEMA}",
            where=str(file),
            remedy="update lrtool",
        )
    return version


def not_ours(file: Path) -> UsageError:
    """What is wrong with a database that says no schema."""
    if not file.stat().st_size:
        return UsageError(
            "the sweep's database is damaged: it is empty",
            where=str(file),
            remedy="`lrtool sweep --resume RUN` trains again what is lost",
        )
    return UsageError("this is not a sweep's database: it has no schema number", where=str(file))


def check_files(file: Path, *, in_place: bool) -> None:
    """Raise UsageError where the database, or a file that SQLite keeps beside it, is a link."""
    for ending in ("", "-wal", "-shm", "-journal"):
        check_file(file.with_name(file.name + ending), in_place=in_place)


def _read_only(file: Path) -> sqlite3.Connection:
    """A connection that cannot write; where even SQLite's side files cannot be made, the file as it stands.

    Raises sqlite3.DatabaseError where it is no database.
    """
    uri, failure = file.resolve().as_uri(), sqlite3.DatabaseError("unknown")
    for options in ("mode=ro", "immutable=1"):
        database = sqlite3.connect(f"{uri}?{options}", uri=True, timeout=30)
        try:
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.DatabaseError as error:
            database.close()
            failure = error
        else:
            return database
    filled = filled_up(file)
    if filled is None:
        raise failure
    return filled
