"""Columns as the numbers that a model takes; what is missing is filled in later, from the training split alone."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lrtool.tasks.tables.columns import Column

Array = NDArray[np.float64]
#: What becomes of missing cells: their row goes; the mean (among words, a word of their own); or that, and a column
#: that says where a number was missing.
Missing = Literal["mean", "drop", "category"]

#: What cells without a word, and rare words, are called.
MISSING_WORD, OTHER = "(missing)", "(other)"
#: A column of more words than are allowed is text or names where so large a part of its rows has a word of its own.
_UNIQUE = 0.5
#: Names of columns that number the rows.
_INDEX = ("", "index", "id", "unnamed: 0", "rownames", "row")
_DAY, _YEAR = 86_400.0, 365.2425


@dataclass(frozen=True)
class Features:
    """Values (rows, columns), NaN where missing, and what was found out, for people."""

    values: Array
    notes: list[str]


def encode(columns: list[Column], missing: Missing, most_words: int, keep: bool) -> Features:
    """All columns side by side. `keep`: they were asked for by name, so none is left out."""
    notes: list[str] = []
    parts = []
    for column in columns:
        reason = None if keep else _useless(column, most_words)
        if reason is not None:
            notes.append(f"column {column.name!r} is left out: {reason}")
            continue
        lacking = int(column.missing.sum())
        if lacking:
            notes.append(f"column {column.name!r}: {_count(lacking, 'missing value')}, {_becomes(column, missing)}")
        parts.append(_encoded(column, missing, most_words, notes))
    rows = len(columns[0].cells) if columns else 0
    return Features(np.concatenate(parts, axis=1) if parts else np.empty((rows, 0)), notes)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _becomes(column: Column, missing: Missing) -> str:
    if column.kind == "word":
        return f"a word of their own ({MISSING_WORD})"
    return "the mean" if missing != "category" else "the mean, and a column that says where"


def _useless(column: Column, most_words: int) -> str | None:
    """Why a column that nobody asked for tells nothing; None if it may."""
    given = [cell for cell, lacks in zip(column.cells, column.missing, strict=True) if not lacks]
    if not given:
        return "it holds nothing"
    if len(set(given)) == 1 and len(given) == len(column.cells):
        return f"it is always {given[0]!r}"
    name = column.name.lower()
    if column.kind == "number" and (name in _INDEX or name == "column_1" or name.endswith("id")):
        values = column.numbers()
        if len(values) > 2 and (np.diff(values) == 1).all():
            return "it numbers the rows"
    if column.kind == "word" and len(set(given)) > max(most_words, _UNIQUE * len(given)):
        return f"it is text: {len(set(given)):,} different values in {len(given):,} rows"
    return None


def _encoded(column: Column, missing: Missing, most_words: int, notes: list[str]) -> Array:
    match column.kind:
        case "number":
            values = column.numbers()[:, None]
            lacks = column.missing[:, None].astype(np.float64)
            return np.concatenate([values, lacks], axis=1) if missing == "category" and lacks.any() else values
        case "date":
            return _calendar(column.dates())
        case "word":
            return _one_hot(column, most_words, notes)


def _one_hot(column: Column, most_words: int, notes: list[str]) -> Array:
    """A column of zeros and ones for each word, the rare ones together, in sorted order."""
    words = [MISSING_WORD if lacks else cell for cell, lacks in zip(column.cells, column.missing, strict=True)]
    counts = Counter(words)
    if len(counts) > most_words:
        kept = {word for word, _ in sorted(counts.items(), key=lambda each: (-each[1], each[0]))[: most_words - 1]}
        notes.append(
            f"column {column.name!r}: of {len(counts):,} values the {most_words - 1} most frequent are told apart"
        )
        words = [word if word in kept else OTHER for word in words]
    values, labels = np.unique(np.array(words), return_inverse=True)
    return np.eye(len(values))[labels]


def _calendar(dates: list[datetime | None]) -> Array:
    """Days since 1970, and sine and cosine of the time of year, the day of the week and the time of day that vary."""
    epoch = datetime(1970, 1, 1)  # the table's own time, whatever its zone
    days = np.array([math.nan if date is None else (date - epoch).total_seconds() / _DAY for date in dates])
    parts = [days]
    # 1970-01-01 was a Thursday; only the distance around the week matters.
    for turns in (days / _YEAR, np.floor(days) / 7, days):
        phase = 2 * math.pi * (turns % 1)
        if np.nanmax(phase) - np.nanmin(phase) > 0.1:
            parts += [np.sin(phase), np.cos(phase)]
    return np.stack(parts, axis=1)
