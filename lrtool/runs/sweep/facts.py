"""The facts of a sweep's database: JSON by key, each with a checksum, as SQLite does not notice a changed byte."""

from __future__ import annotations

import json
import sqlite3
import zlib
from typing import Any


def fact_row(key: str, value: Any) -> tuple[str, str, int]:
    """The columns of a fact: key, value, checksum."""
    text = json.dumps(value)
    return key, text, _checksum(key, text)


def fact_of(database: sqlite3.Connection, key: str) -> Any:
    """What is remembered under a key, None if nothing; ValueError where it is not what was written."""
    checksum = _checksum_column(database)
    row = database.execute(f"SELECT value, {checksum} FROM facts WHERE key = ?", (key,)).fetchone()
    if row is None:
        # A changed byte may be in the key: then it is another's.
        if unreadable_facts(database):
            raise ValueError("the checksum is wrong")
        return None
    return _value(key, *row, required=checksum != "NULL")


def all_facts(database: sqlite3.Connection) -> dict[str, Any]:
    """Every fact; ValueError where one is not what was written."""
    checksum = _checksum_column(database)
    rows = database.execute(f"SELECT key, value, {checksum} FROM facts").fetchall()
    return {key: _value(key, value, stored, required=checksum != "NULL") for key, value, stored in rows}


def unreadable_facts(database: sqlite3.Connection) -> list[str]:
    """The keys of facts that are not what was written; raises sqlite3.DatabaseError where there is no table of them."""
    checksum = _checksum_column(database)
    lost = []
    try:
        for key, value, stored in database.execute(f"SELECT key, value, {checksum} FROM facts"):
            try:
                _value(key, value, stored, required=checksum != "NULL")
            except ValueError:
                lost.append(str(key))
    except sqlite3.OperationalError as error:
        # Such as text that is not UTF-8 any more.
        if "decode" not in str(error):
            raise
        lost.append("facts")
    return lost


def indexed_facts(database: sqlite3.Connection) -> bool:
    """Whether facts can be found by their keys: the index may be damaged where the table is not."""
    return [row[0] for row in database.execute("PRAGMA integrity_check(facts)")] == ["ok"]


def with_checksums(database: sqlite3.Connection, schema: int) -> None:
    """Bring the facts of an older version to this one's schema, all or nothing."""
    facts = database.execute("SELECT key, value FROM facts").fetchall()
    with database:
        database.execute("BEGIN")
        if _checksum_column(database) == "NULL":
            database.execute("ALTER TABLE facts ADD COLUMN checksum INTEGER")
        rows = [(_checksum(key, value), key) for key, value in facts]
        database.executemany("UPDATE facts SET checksum = ? WHERE key = ?", rows)
        database.execute(f"PRAGMA user_version = {schema}")


def _value(key: Any, value: Any, checksum: Any, *, required: bool) -> Any:
    if required and checksum != _checksum(key, value):
        raise ValueError("the checksum is wrong")
    if not isinstance(value, str):
        raise ValueError("it is not text")
    try:
        return json.loads(value)
    except RecursionError:  # brackets without end
        raise ValueError("it is nested too deeply") from None


def _checksum(key: Any, value: Any) -> int:
    return zlib.crc32(repr((key, value)).encode("utf-8", "surrogatepass"))


def _checksum_column(database: sqlite3.Connection) -> str:
    """The column of checksums; nothing in files of version 0.1.0."""
    columns = [row[1] for row in database.execute("PRAGMA table_info(facts)")]
    if not columns:
        raise sqlite3.DatabaseError("there is no table of facts")
    return "checksum" if "checksum" in columns else "NULL"
