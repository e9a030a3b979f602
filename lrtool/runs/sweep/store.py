"""`sweep.sqlite`: the trials of a sweep, each written once, in a transaction of its own, when it ends.

Tables: `trials`, a row a trial, its curve a zlib'd little-endian float64 array (columns, points); `facts`, what a
resumed sweep must decide as before (the plan's hash, engines, tuned LRs) as JSON by key. Every row has a checksum; in
schema 1, of lrtool 0.1.0, facts had none.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from lrtool.errors import OutputError, UsageError
from lrtool.runs.atomic import check_there, output_error
from lrtool.runs.links import opened
from lrtool.runs.lock import FolderLock
from lrtool.runs.sweep.facts import fact_of, fact_row, indexed_facts, unreadable_facts, with_checksums
from lrtool.runs.sweep.journal import choose_journal
from lrtool.runs.sweep.plain import check_plain
from lrtool.runs.sweep.reading import SCHEMA, check_files, not_ours, opened_to_read, version_of
from lrtool.runs.sweep.salvage import moved_aside, readable, salvaged
from lrtool.runs.sweep.stored_trial import COLUMNS, Progress, StoredTrial, row_of, trial_of

__all__ = ["FILE", "SCHEMA", "Progress", "StoredTrial", "SweepStore", "read_trials"]

FILE = "sweep.sqlite"
#: The fact that says of each metric, by its column, whether more of it is better.
HIGHER_IS_BETTER = "higher_is_better"
#: The loss of all trials, as a config would name it, also where it was left to the default.
LOSS = "loss"
#: The fact that a part of the file was lost once.
DAMAGED = "damaged"
_LOCK = "sweep.lock"
_TABLES = (
    "CREATE TABLE trials (number INTEGER PRIMARY KEY, variant TEXT NOT NULL, settings TEXT NOT NULL, seed INTEGER,"
    " status TEXT NOT NULL, steps INTEGER NOT NULL, seconds REAL NOT NULL, final TEXT NOT NULL,"
    " columns TEXT NOT NULL, curve BLOB NOT NULL, message TEXT NOT NULL, checksum INTEGER NOT NULL)",
    "CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER)",
)
_INSERT = f"INSERT OR REPLACE INTO trials ({COLUMNS}) VALUES ({', '.join('?' * len(COLUMNS.split(',')))})"
_REMEMBER = "INSERT OR REPLACE INTO facts (key, value, checksum) VALUES (?, ?, ?)"
_ONE = f"SELECT {COLUMNS} FROM trials WHERE number = ?"

_LOG = logging.getLogger("lrtool")


def read_trials(path: Path, warn: Callable[[str], None] = _LOG.warning) -> list[StoredTrial]:
    """The trials of a sweep in order of their numbers; `path` is its run folder or its `sweep.sqlite`.

    Can be read while the sweep runs. Raises UsageError where there is no such file, a newer lrtool wrote it, or
    nothing of it can be read; `warn` hears what is lost where only a part of it can.
    """
    file = path / FILE if path.is_dir() else path
    with opened_to_read(file) as database:
        trials, damage = readable(database)
    if damage:
        warn(f"{file}: {damage}")
    return trials


def read_fact(path: Path, key: str) -> Any:
    """What a sweep remembers under a key, None if nothing; `path` as for `read_trials`.

    Raises UsageError where it cannot be read, or is not what was written.
    """
    file = path / FILE if path.is_dir() else path
    with opened_to_read(file) as database:
        try:
            return fact_of(database, key)
        except (ValueError, OverflowError):
            raise UsageError(
                f"the sweep's database is damaged: what it remembers as {key!r} cannot be read",
                where=str(file),
                remedy="`lrtool sweep --resume RUN` trains again what is lost",
            ) from None


class SweepStore:
    """The store of a sweep that runs. One process at a time has it; a killed one leaves it usable."""

    def __init__(self, folder: Path, warn: Callable[[str], None] = _LOG.warning) -> None:
        """Open the store of a run folder, or make it.

        Raises UsageError where another process has it, a newer lrtool wrote it, or it is a link or some other
        program's database. A damaged file is kept aside; `warn` hears what is lost.
        """
        self.file = folder / FILE
        self._lock = FolderLock(folder / _LOCK, "sweep")
        try:
            self._database = self._ready(warn)
            self._handle = os.open(self.file, os.O_RDONLY)
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Fold everything into the one file and let others have it."""
        try:
            with self._written():
                self._database.execute("PRAGMA synchronous = FULL")
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self._database.close()
            os.close(self._handle)
            self._lock.close()

    def record(self, trial: StoredTrial) -> None:
        """Write a trial that has ended, whole or not at all; one recorded before under its number is replaced.

        A killed process loses nothing that was recorded. Raises OutputError where the disk is full.
        """
        with self._written():
            self._database.execute(_INSERT, row_of(trial))

    def record_together(self, trials: Sequence[StoredTrial], key: str, value: Any) -> None:
        """Write several trials and remember a value, all or nothing."""
        with self._written(), self._database:
            self._database.execute("BEGIN")
            self._database.executemany(_INSERT, [row_of(trial) for trial in trials])
            self._database.execute(_REMEMBER, fact_row(key, value))

    def progress(self) -> dict[int, Progress]:
        """How far each recorded trial is."""
        rows = self._database.execute("SELECT number, status FROM trials ORDER BY number")
        return {number: Progress.parse(text) for number, text in rows}

    def steps(self) -> int:
        """Updates of all recorded trials."""
        return int(self._database.execute("SELECT coalesce(sum(steps), 0) FROM trials").fetchone()[0])

    def trials(self) -> list[StoredTrial]:
        """Every recorded trial, in order."""
        return readable(self._database)[0]

    def some(self, numbers: Iterable[int]) -> list[StoredTrial]:
        """Those of these trials that are recorded, in the order given."""
        rows = (self._database.execute(_ONE, (number,)).fetchone() for number in numbers)
        return [trial_of(row) for row in rows if row is not None]

    def fact(self, key: str) -> Any:
        """What was remembered under a key, None if nothing."""
        return fact_of(self._database, key)

    def remember(self, key: str, value: Any) -> None:
        """Remember a JSON value for whoever resumes."""
        with self._written():
            self._database.execute(_REMEMBER, fact_row(key, value))

    def forget(self, prefix: str) -> None:
        """Forget every trial, what is remembered under keys that begin so, and that the file was damaged."""
        with self._written(), self._database:
            self._database.execute("BEGIN")
            self._database.execute("DELETE FROM trials")
            self._database.execute("DELETE FROM facts WHERE key GLOB ? OR key = ?", (f"{prefix}*", DAMAGED))

    @contextmanager
    def _written(self) -> Iterator[None]:
        """What is written inside is in the file that is to be found here; OutputError where it is not."""
        try:
            check_there(self.file, self._handle)
        except OSError as error:
            raise output_error(self.file, error) from None
        with _written(self.file):
            yield

    def _ready(self, warn: Callable[[str], None]) -> sqlite3.Connection:
        """The open database, with tables; what is readable of a damaged one is moved into a new one."""
        try:
            return self._connected(warn)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise _unwritable(self.file, error) from None
        trials, facts, damage = salvaged(self.file)
        aside = moved_aside(self.file)
        database = self._connected(warn)
        with database:
            database.execute("BEGIN")
            database.executemany(_INSERT, [row_of(trial) for trial in trials])
            facts |= {DAMAGED: damage} if damage else {}
            database.executemany(_REMEMBER, [fact_row(*each) for each in facts.items()])
        said = f"{damage}; what is lost is trained again" if damage else "the file is damaged, but nothing is lost"
        warn(f"{self.file}: {said} (the damaged file is kept as {aside.name})")
        return database

    def _connected(self, warn: Callable[[str], None]) -> sqlite3.Connection:
        check_files(self.file, in_place=True)
        try:
            os.close(opened(self.file, os.O_RDWR | os.O_CREAT))
        except OSError as error:
            raise output_error(self.file, error) from None
        # Autocommit: every statement outside BEGIN is a transaction of its own.
        database = sqlite3.connect(self.file, isolation_level=None, timeout=30, check_same_thread=False)
        try:
            version = version_of(database, self.file)
            if version == 0 and database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise not_ours(self.file)
            # Views and triggers that somebody put there may call nothing.
            database.execute("PRAGMA trusted_schema = OFF")
            check_plain(database, self.file)
            choose_journal(database, self.file, warn)
            if version == 0:
                with database:
                    database.execute("BEGIN")
                    for table in _TABLES:
                        database.execute(table)
                    database.execute(f"PRAGMA user_version = {SCHEMA}")
            elif readable(database)[1] or unreadable_facts(database) or not indexed_facts(database):
                raise sqlite3.DatabaseError("damaged")
            elif version < SCHEMA:
                with_checksums(database, SCHEMA)
        except BaseException:
            database.close()
            raise
        return database


@contextmanager
def _written(file: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise _unwritable(file, error) from None


def _unwritable(file: Path, error: Exception) -> OutputError:
    return OutputError(
        f"cannot write here: {error}",
        where=str(file),
        remedy="make room on the disk, or choose another folder with --output DIR",
    )
