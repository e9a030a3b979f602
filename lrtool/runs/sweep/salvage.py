"""Reading what is left of a damaged `sweep.sqlite`."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from lrtool.runs.sweep.facts import all_facts, unreadable_facts
from lrtool.runs.sweep.plain import check_plain
from lrtool.runs.sweep.stored_trial import COLUMNS, StoredTrial, trial_of

#: Trials that are looked for one by one, beyond the last one found.
_GAP = 10_000


def readable(database: sqlite3.Connection) -> tuple[list[StoredTrial], str]:
    """Every trial that can be read, and in words what cannot (empty where all can)."""
    trials: dict[int, StoredTrial] = {}
    bad: set[int] = set()
    try:
        for row in database.execute(f"SELECT {COLUMNS} FROM trials ORDER BY number"):
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
        trials[row[0]] = trial_of(row)
    except (ValueError, TypeError, zlib.error):
        bad.add(row[0])


def _one_by_one(database: sqlite3.Connection, trials: dict[int, StoredTrial], bad: set[int]) -> None:
    """Look for trials by their numbers, past pages that cannot be read."""
    number, misses = 0, 0
    while misses < _GAP:
        try:
            row = database.execute(f"SELECT {COLUMNS} FROM trials WHERE number = ?", (number,)).fetchone()
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


def salvaged(file: Path) -> tuple[list[StoredTrial], dict[str, Any], str]:
    """What can be read of a damaged file: trials, facts, and what is lost in words.

    Where not all facts can be read, nothing is known of how the trials came about, and none is kept. Raises
    UsageError for a database that lrtool did not make.
    """
    nothing = "the file is damaged and no trial of it can be read"
    try:
        with closing(filled_up(file) or sqlite3.connect(file)) as database:
            check_plain(database, file)
            trials, damage = readable(database)
            try:
                lost = unreadable_facts(database)
                facts = {} if lost else all_facts(database)
            except sqlite3.DatabaseError:
                facts, lost = {}, ["facts"]
    except sqlite3.DatabaseError:
        return [], {}, nothing
    if lost and trials:
        what = f"what was decided cannot be read ({', '.join(lost[:3])}), so no trial counts"
        return [], {}, f"the file is damaged: {what}"
    return trials, facts, damage if trials else nothing


def filled_up(file: Path) -> sqlite3.Connection | None:
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


def moved_aside(file: Path) -> Path:
    """Keep a damaged file under another name; gives it."""
    number = 1
    while (aside := file.with_name(f"{file.name}.damaged-{number}")).exists():
        number += 1
    file.replace(aside)
    for leftover in ("-wal", "-shm"):
        file.with_name(file.name + leftover).unlink(missing_ok=True)
    return aside
