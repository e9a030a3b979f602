"""Databases of strangers: whatever would compute when it is read is refused before anything is."""

import sqlite3
from contextlib import closing

import pytest

from lrtool.errors import UsageError
from lrtool.runs.sweep.store import _TABLES, SweepStore, read_trials

TRIALS, FACTS = _TABLES
COMPUTES = "length(hex(zeroblob(9)))"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"


def database(folder, *statements):
    with closing(sqlite3.connect(folder / "sweep.sqlite")) as made, made:
        for statement in (*statements, "PRAGMA user_version = 2"):
            made.execute(statement)
    return folder / "sweep.sqlite"


@pytest.mark.parametrize(
    "statements",
    [
        (TRIALS.replace("seconds REAL NOT NULL", f"seconds REAL AS ({COMPUTES})"), FACTS),
        (TRIALS.replace("seed INTEGER", f"seed INTEGER CHECK (seed > {COMPUTES})"), FACTS),
        (TRIALS, FACTS.replace("value TEXT NOT NULL", f"value TEXT DEFAULT ({COMPUTES})")),
        (TRIALS, FACTS, f"CREATE INDEX i ON trials ({COMPUTES})"),
        (TRIALS, FACTS, "CREATE INDEX i ON trials (seed)"),
        (TRIALS, FACTS, "CREATE TRIGGER t AFTER INSERT ON facts BEGIN SELECT 1; END"),
        (FACTS, f"CREATE VIEW trials AS {ENDLESS}"),
        (TRIALS, "CREATE VIRTUAL TABLE facts USING fts5(key, value, checksum)"),
    ],
)
def test_what_computes_is_refused_by_readers_and_by_resume(tmp_path, statements):
    try:
        file = database(tmp_path, *statements)
    except sqlite3.OperationalError as error:
        pytest.skip(f"this SQLite has none: {error}")
    before = file.read_bytes()
    with pytest.raises(UsageError, match="not a database that lrtool made: it has a"):
        read_trials(tmp_path)
    with pytest.raises(UsageError, match="not a database that lrtool made: it has a"):
        SweepStore(tmp_path)
    assert file.read_bytes() == before


def test_nor_is_it_computed_where_the_file_was_cut(tmp_path):
    file = database(tmp_path, TRIALS.replace("trials", "more"), FACTS, f"CREATE VIEW trials AS {ENDLESS}")
    data = file.read_bytes()
    file.write_bytes(data[: len(data) - 4096])
    with pytest.raises(UsageError, match="it has a view"):
        SweepStore(tmp_path)


def test_statistics_that_sqlite_keeps_are_no_matter(tmp_path):
    SweepStore(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "sweep.sqlite")) as made, made:
        made.execute("ANALYZE")
    assert read_trials(tmp_path) == []
