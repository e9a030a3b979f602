"""`sweep.sqlite`: the trials of a sweep, each written once, in a transaction of its own, when it ends.

Tables (schema 1): `trials`, a row a trial, its curve a zlib'd little-endian float64 array (columns, points);
`facts`, what a resumed sweep must decide as before (the plan's hash, engines, tuned LRs) as JSON by key.
"""

from __future__ import annotations

import json
import logging
import math
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from lrtool.errors import OutputError, UsageError

#: Raised whenever a column changes its meaning or goes away.
SCHEMA = 1
FILE = "sweep.sqlite"
_LOCK = "sweep.lock"
_TABLES = (
    "CREATE TABLE trials (number INTEGER PRIMARY KEY, variant TEXT NOT NULL, settings TEXT NOT NULL, seed INTEGER,"
    " status TEXT NOT NULL, steps INTEGER NOT NULL, seconds REAL NOT NULL, final TEXT NOT NULL,"
    " columns TEXT NOT NULL, curve BLOB NOT NULL, message TEXT NOT NULL, checksum INTEGER NOT NULL)",
    "CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
)
_COLUMNS = "number, variant, settings, seed, status, steps, seconds, final, columns, curve, message, checksum"
_INSERT = f"INSERT OR REPLACE INTO trials ({_COLUMNS}) VALUES ({', '.join('?' * len(_COLUMNS.split(',')))})"
#: Trials that are looked for one by one in a damaged file, beyond the last one found.
_GAP = 10_000

_LOG = logging.getLogger("lrtool")


@dataclass(frozen=True)
class StoredTrial:
    """A trial that has ended.

    `settings`: the dotted keys that vary in its sweep, with their values as written. `status`: finished; diverged,
    failed or pruned, then `message` says why; or rung-1, rung-2 … while it waits for its rivals. `steps` updates took
    `seconds`. `values`: the final `train_loss` (mean of the last 10% of updates), `val_loss` and each `val_<metric>`;
    what was not measured or is not finite is left out. `curve`: columns of equal length, at most 200 points: `step`
    (updates done), `lr`, `train_loss` (mean since the point before), `val_loss` (NaN where not measured).
    """

    number: int
    variant: str
    settings: dict[str, Any]
    seed: int | None
    status: str
    steps: int
    seconds: float
    values: dict[str, float] = field(default_factory=dict)
    curve: dict[str, list[float]] = field(default_factory=dict)
    message: str = ""


def read_trials(path: Path, said: Callable[[str], None] = _LOG.warning) -> list[StoredTrial]:
    """The trials of a sweep in order of their numbers; `path` is its run folder or its `sweep.sqlite`.

    Can be read while the sweep runs. Raises UsageError where there is no such file, a newer lrtool wrote it, or
    nothing of it can be read; `said` hears what is lost where only a part of it can.
    """
    file = path / FILE if path.is_dir() else path
    with _opened(file) as database:
        trials, damage = _readable(database, file)
    if damage:
        said(f"{file}: {damage}")
    return trials


class SweepStore:
    """The store of a sweep that runs. One process at a time has it; a killed one leaves it usable."""

    def __init__(self, folder: Path, said: Callable[[str], None] = _LOG.warning) -> None:
        """Open the store of a run folder, or make it.

        Raises UsageError where another process has it, or a newer lrtool wrote it. A damaged file is kept aside;
        `said` hears what is lost.
        """
        self.file = folder / FILE
        self._lock = _locked(folder / _LOCK)
        try:
            self._database = self._ready(said)
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
            with _written(self.file):
                self._database.execute("PRAGMA synchronous = FULL")
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self._database.close()
            self._lock.close()

    def record(self, trial: StoredTrial) -> None:
        """Write a trial that has ended, whole or not at all; one recorded before under its number is replaced.

        A killed process loses nothing that was recorded. Raises OutputError where the disk is full.
        """
        with _written(self.file):
            self._database.execute(_INSERT, _row(trial))

    def record_together(self, trials: Sequence[StoredTrial], key: str, value: Any) -> None:
        """Write several trials and remember a value, all or nothing."""
        with _written(self.file), self._database:
            self._database.execute("BEGIN")
            self._database.executemany(_INSERT, [_row(trial) for trial in trials])
            self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (key, json.dumps(value)))

    def statuses(self) -> dict[int, str]:
        """The status of each recorded trial."""
        return dict(self._database.execute("SELECT number, status FROM trials ORDER BY number"))

    def steps(self) -> int:
        """Updates of all recorded trials."""
        return int(self._database.execute("SELECT coalesce(sum(steps), 0) FROM trials").fetchone()[0])

    def trials(self) -> list[StoredTrial]:
        """Every recorded trial, in order."""
        return _readable(self._database, self.file)[0]

    def fact(self, key: str) -> Any:
        """What was remembered under a key, None if nothing."""
        row = self._database.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else None

    def remember(self, key: str, value: Any) -> None:
        """Remember a JSON value for whoever resumes."""
        with _written(self.file):
            self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (key, json.dumps(value)))

    def _ready(self, said: Callable[[str], None]) -> sqlite3.Connection:
        """The open database, with tables; what is readable of a damaged one is moved into a new one."""
        try:
            return self._connected()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise _unwritable(self.file, error) from None
        trials, facts, damage = _salvaged(self.file)
        aside = _moved_aside(self.file)
        database = self._connected()
        with database:
            database.execute("BEGIN")
            database.executemany(_INSERT, [_row(trial) for trial in trials])
            database.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
        said(f"{self.file}: {damage}; what is lost is trained again (the damaged file is kept as {aside.name})")
        return database

    def _connected(self) -> sqlite3.Connection:
        # Autocommit: every statement outside BEGIN is a transaction of its own.
        database = sqlite3.connect(self.file, isolation_level=None, timeout=30, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            # What is committed survives the death of the process; `close` makes it survive a power cut.
            database.execute("PRAGMA synchronous = NORMAL")
            version = _version(database, self.file)
            if version == 0:
                with database:
                    database.execute("BEGIN")
                    for table in _TABLES:
                        database.execute(table)
                    database.execute(f"PRAGMA user_version = {SCHEMA}")
            elif _readable(database, self.file)[1]:
                raise sqlite3.DatabaseError("damaged")
        except BaseException:
            database.close()
            raise
        return database


def _row(trial: StoredTrial) -> tuple[Any, ...]:
    curve = np.array([trial.curve[name] for name in trial.curve], dtype="<f8")
    values = {name: value for name, value in trial.values.items() if math.isfinite(value)}
    row = (
        trial.number, trial.variant, json.dumps(trial.settings), trial.seed, trial.status, int(trial.steps),
        float(trial.seconds), json.dumps(values), json.dumps(list(trial.curve)), zlib.compress(curve.tobytes(), 1),
        trial.message,
    )  # fmt: skip
    return (*row, _checksum(row))


def _checksum(row: Sequence[Any]) -> int:
    """SQLite itself does not notice a changed byte inside a value."""
    return zlib.crc32(repr(tuple(row)).encode("utf-8", "surrogatepass"))


def _trial(row: Sequence[Any]) -> StoredTrial:
    """The trial of a row; raises ValueError where the row was damaged."""
    if _checksum(row[:-1]) != row[-1]:
        raise ValueError("the checksum is wrong")
    number, variant, settings, seed, status, steps, seconds, final, columns, curve, message, _ = row
    names = json.loads(columns)
    table = np.frombuffer(zlib.decompress(curve), dtype="<f8").reshape(len(names), -1 if names else 0).tolist()
    curves = dict(zip(names, table, strict=True))
    return StoredTrial(
        number, variant, json.loads(settings), seed, status, steps, seconds, json.loads(final), curves, message
    )


def _readable(database: sqlite3.Connection, file: Path) -> tuple[list[StoredTrial], str]:
    """Every trial that can be read, and in words what cannot (empty where all can)."""
    trials: dict[int, StoredTrial] = {}
    bad: set[int] = set()
    try:
        for row in database.execute(f"SELECT {_COLUMNS} FROM trials ORDER BY number"):
            _take(row, trials, bad)
        whole = True
    except (sqlite3.DatabaseError, OverflowError):
        whole = False
        _one_by_one(database, trials, bad)
    if whole and not bad:
        return list(trials.values()), ""
    lost = f"{len(bad)} trials can be seen but not read" if bad else "an unknown number of trials cannot be read"
    damage = f"the file is damaged: {len(trials)} trials are recovered, {lost}"
    return [trials[number] for number in sorted(trials)], damage


def _take(row: Sequence[Any], trials: dict[int, StoredTrial], bad: set[int]) -> None:
    try:
        trials[row[0]] = _trial(row)
    except (ValueError, TypeError, zlib.error):
        bad.add(row[0])


def _one_by_one(database: sqlite3.Connection, trials: dict[int, StoredTrial], bad: set[int]) -> None:
    """Look for trials by their numbers, past pages that cannot be read."""
    number, misses = 0, 0
    while misses < _GAP:
        try:
            row = database.execute(f"SELECT {_COLUMNS} FROM trials WHERE number = ?", (number,)).fetchone()
        except (sqlite3.DatabaseError, OverflowError):
            bad.add(number)
            row = None
        if row is not None:
            _take(row, trials, bad)
        misses = 0 if row is not None else misses + 1
        number += 1
    # Beyond the last readable trial there may have been none at all.
    last = max(trials, default=-1)
    bad -= {each for each in bad if each > last}


def _salvaged(file: Path) -> tuple[list[StoredTrial], dict[str, str], str]:
    """What can be read of a damaged file: trials, facts, and what is lost in words."""
    nothing = "the file is damaged and no trial of it can be read"
    try:
        with closing(_filled_up(file) or sqlite3.connect(file)) as database:
            trials, damage = _readable(database, file)
            try:
                facts = dict(database.execute("SELECT key, value FROM facts"))
            except sqlite3.DatabaseError:
                facts = {}
    except sqlite3.DatabaseError:
        return [], {}, nothing
    return trials, facts, damage if trials else nothing


def _filled_up(file: Path) -> sqlite3.Connection | None:
    """A database whose file was cut short, in memory, with empty pages for those it lacks; None where it was not.

    SQLite refuses to read any of a file that is shorter than its header says.
    """
    with file.open("rb") as head:
        data = bytearray(head.read(100))
    page = int.from_bytes(data[16:18], "big")
    length = int.from_bytes(data[28:32], "big") * (page if page > 1 else 65_536)
    if not data.startswith(b"SQLite format 3\0") or not file.stat().st_size < length <= 2**31:
        return None
    data = bytearray(file.read_bytes())
    data += bytes(length - len(data))
    data[18:20] = b"\1\1"  # no write-ahead log: that is a file, and this is memory
    database = sqlite3.connect(":memory:")
    database.deserialize(bytes(data))
    return database


def _moved_aside(file: Path) -> Path:
    number = 1
    while (aside := file.with_name(f"{file.name}.damaged-{number}")).exists():
        number += 1
    file.replace(aside)
    for leftover in ("-wal", "-shm"):
        file.with_name(file.name + leftover).unlink(missing_ok=True)
    return aside


def _version(database: sqlite3.Connection, file: Path) -> int:
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA:
        raise UsageError(
            f"the sweep's database has schema {version}, but this lrtool reads up to {SCHEMA}",
            where=str(file),
            remedy="update lrtool",
        )
    return version


@contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    """A database for reading only; raises UsageError where it is not one of ours."""
    if not file.is_file():
        raise UsageError(
            "there is no sweep's database", where=str(file), remedy="give the folder of a run that `lrtool sweep` made"
        )
    try:
        with closing(_read_only(file)) as database:
            if _version(database, file) == 0:
                raise UsageError("this is not a sweep's database: it has no schema number", where=str(file))
            yield database
    except sqlite3.DatabaseError as error:
        raise UsageError(
            f"the sweep's database cannot be read: {error}", where=str(file), remedy="run the sweep again"
        ) from None


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
    filled = _filled_up(file)
    if filled is None:
        raise failure
    return filled


def _locked(file: Path) -> sqlite3.Connection:
    """A lock that ends with the process that has it, on every system: an open transaction of an empty database."""
    database = None
    try:
        database = sqlite3.connect(file, isolation_level=None, timeout=0, check_same_thread=False)
        database.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if database is not None:
            database.close()
        if "locked" not in str(error):
            raise _unwritable(file, error) from None
        raise UsageError(
            "another process is working on this sweep",
            where=str(file.parent),
            remedy="wait until it ends, or stop it; then resume",
        ) from None
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
