"""A text table as rows of cells: encoding, delimiter and header are found where they are not said."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lrtool.errors import TaskError, UsageError
from lrtool.tasks.tables.columns import MISSING
from lrtool.tasks.tables.numbers import is_number

#: What separates columns, the likeliest first.
_DELIMITERS = (",", ";", "\t", "|")
#: Lines that are looked at to find the delimiter.
_LOOKED_AT = 50
#: The marks that files in these encodings begin with, the longer ones first.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
#: A year, which may head a column.
_YEAR = re.compile(r"(1[89]|20)\d\d")
#: What files of other sorts begin with, what they are, and what to do with them.
_OTHERS = {
    b"PK\x03\x04": ("a ZIP archive, as the files of Excel are", "save the sheet as CSV, or unpack it"),
    b"\x1f\x8b": ("packed with gzip", "unpack it: gunzip -k FILE"),
    b"BZh": ("packed with bzip2", "unpack it: bunzip2 -k FILE"),
    b"\xfd7zXZ": ("packed with xz", "unpack it: unxz -k FILE"),
    b"PAR1": ("a Parquet file", "write kind: parquet"),
    b"\x93NUMPY": ("a NumPy array", "write kind: numpy"),
    b"SQLite format 3": ("a database", "export the table as CSV"),
    b"\xd0\xcf\x11\xe0": ("an old Excel file", "save the sheet as CSV"),
}


@dataclass(frozen=True)
class TextTable:
    """Names of the columns, the cells of every row, and the line of the file that each row stands in.

    `has_header`: whether the names come from the file. `notes`: what was found out, for people.
    """

    path: Path
    names: list[str]
    rows: list[list[str]]
    lines: list[int]
    has_header: bool
    delimiter: str
    notes: list[str] = field(default_factory=list)


def read_rows(
    path: Path,
    delimiter: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    wanted: Collection[str] = (),
) -> TextTable:
    """Read a table; what is None is found out. `wanted`: names of columns, which a line that has one must be.

    Raises TaskError for a table that is empty, ragged or cannot be read.
    """
    notes: list[str] = []
    text = _decoded(path, encoding, notes)
    sign = delimiter or _delimiter(text)
    if delimiter is None and sign != ",":
        notes.append(f"columns are separated by {'tabs' if sign == chr(9) else repr(sign)}")
    rows, lines = _parsed(path, text, sign)
    if not rows:
        raise TaskError(f"{path} holds nothing", where="data.path", remedy="give a header and at least one row")
    if header is None:
        rows, lines = _without_preamble(rows, lines, notes)
    has_header = _is_header(rows, wanted) if header is None else header
    if not has_header:
        notes.append("there is no header: columns are column_1, column_2 …")
    names = rows[0] if has_header else [""] * max(map(len, rows))
    if len(rows) == 1 and has_header:
        raise TaskError(f"{path} holds only a header", where="data.path", remedy="give at least one row")
    body, numbers = (rows[1:], lines[1:]) if has_header else (rows, lines)
    if has_header and header is None and _are_units(body):
        notes.append(f"line {numbers[0]} holds units, and is left out")
        body, numbers = body[1:], numbers[1:]
    names, body = _even(path, names, body, numbers, notes)
    return TextTable(path, _told_apart(names, notes), body, numbers, has_header, sign, notes)


def _told_apart(names: Sequence[str], notes: list[str]) -> list[str]:
    """Every column by a name of its own: a second one of a name becomes name_2."""
    named: list[str] = []
    for number, name in enumerate(names, 1):
        one = name or f"column_{number}"
        count = next(n for n in range(1, len(names) + 2) if (one if n == 1 else f"{one}_{n}") not in named)
        named.append(one if count == 1 else f"{one}_{count}")
        if count > 1:
            notes.append(f"a second column named {one!r} is called {named[-1]!r}")
    return named


def _without_preamble(rows: list[list[str]], lines: list[int], notes: list[str]) -> tuple[list[list[str]], list[int]]:
    """The table without lines before it that are comments, titles or a word to Excel: narrower than its header."""
    widths = Counter(map(len, rows))
    usual = max(widths, key=lambda width: (widths[width], width))
    before = 0
    while before < len(rows) - 1 and usual > 1 and _filled(rows[before]) < min(usual, 2) <= len(rows[before + 1 :]):
        before += 1
    # Where the first line is as narrow as the one column of a title, what follows must be the table.
    if not before or len(rows[before]) != usual:
        return rows, lines
    notes.append(f"the first {before} line{'s are' if before > 1 else ' is'} no part of the table")
    return rows[before:], lines[before:]


def _filled(row: Sequence[str]) -> int:
    """How many cells of a row, but for a comment, hold something."""
    return 0 if row and row[0].startswith("#") and len(row) > 1 else sum(map(bool, row))


def _decoded(path: Path, encoding: str | None, notes: list[str]) -> str:
    data = path.read_bytes()
    found = encoding or next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(found)
    except UnicodeError as error:
        if not isinstance(error, UnicodeDecodeError):
            raise _no_encoding(encoding) from None
        other = next((words for mark, words in _OTHERS.items() if data.startswith(mark)), None)
        if other is not None:
            what = f"{path} is not a table in {found} but {other[0]}"
            raise TaskError(what, where="data.path", remedy=other[1].replace("FILE", path.name)) from None
        if encoding is not None or b"\0" in data:
            raise TaskError(
                f"{path} is not a table in {found} ({error.reason} at byte {error.start})",
                where="data.path",
                remedy="save it as UTF-8, or write its `encoding`",
            ) from None
    except (LookupError, ValueError):
        raise _no_encoding(encoding) from None
    notes.append("read as cp1252, for it is not UTF-8; write `encoding` if letters come out wrong")
    return data.decode("cp1252", errors="replace")


def _no_encoding(name: str | None) -> UsageError:
    return UsageError(
        f"there is no encoding {name!r}", where="data.encoding", remedy="write utf-8, latin-1, cp1252 or utf-16"
    )


def _delimiter(text: str) -> str:
    """The sign by which most lines have as many cells as each other, and more than one."""
    head = "\n".join(text.splitlines()[:_LOOKED_AT])

    def even(sign: str) -> tuple[float, int]:
        widths = Counter(len(row) for row in csv.reader(io.StringIO(head), delimiter=sign) if row)
        width, count = max(widths.items(), key=lambda each: (each[1], each[0]), default=(1, 0))
        return (count / max(1, widths.total()) if width > 1 else 0.0), width

    try:
        best = max(_DELIMITERS, key=even)
        return best if even(best)[0] or not even(" ")[0] else " "
    except csv.Error:
        return ","


def is_table(path: Path) -> bool:
    """Whether the lines of a text file, as far as they are looked at, are rows of as many cells each."""
    with path.open("rb") as file:
        lines = [line.decode("latin-1") for line in itertools.islice(file, _LOOKED_AT)]
    text = "".join(line for line in lines if line.strip())
    try:
        widths = [{len(row) for row in csv.reader(io.StringIO(text), delimiter=sign)} for sign in _DELIMITERS]
    except csv.Error:
        return False
    return text.count("\n") > 2 and any(len(each) == 1 and each != {1} for each in widths)


def _parsed(path: Path, text: str, delimiter: str) -> tuple[list[list[str]], list[int]]:
    rows: list[list[str]] = []
    lines: list[int] = []
    if delimiter == " ":  # columns in line with each other
        text = "\n".join(line.strip() for line in text.splitlines())
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=delimiter != "\t")
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append([cell.strip() for cell in row])
                lines.append(reader.line_num)
    except csv.Error as error:
        raise TaskError(
            f"this is no table: {error}",
            where=f"{path}:{reader.line_num}",
            remedy="save it as CSV, or write the `delimiter`",
        ) from None
    return rows, lines


def _is_header(rows: Sequence[Sequence[str]], wanted: Collection[str]) -> bool:
    """Whether the first line names the columns: it has a name that is asked for, or no number (years apart)."""
    first, *rest = rows
    if any(cell in wanted for cell in first):
        return True
    if not rest:
        return True
    if any(is_number(cell) and not _YEAR.fullmatch(cell) for cell in first):
        return False
    columns = [(cell, [row[at] for row in rest if at < len(row)]) for at, cell in enumerate(first) if cell]
    return not all(cell in cells for cell, cells in columns)


def _are_units(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first of the rows below a header has words, or nothing, wherever all others have numbers."""
    if len(rows) < 4:
        return False
    first, *rest = rows[:_LOOKED_AT]

    def are_numbers(at: int) -> bool:
        cells = [row[at] if at < len(row) else "" for row in rest]
        return any(cells) and all(is_number(cell) or cell.lower() in MISSING for cell in cells)

    units = [cell for at, cell in enumerate(first) if are_numbers(at)]
    return sum(map(bool, units)) > 1 and not any(
        is_number(cell) or (cell and cell.lower() in MISSING) for cell in units
    )


def _even(
    path: Path, names: list[str], rows: list[list[str]], lines: Sequence[int], notes: list[str]
) -> tuple[list[str], list[list[str]]]:
    """Names and rows of one length; what nothing stands in at the ends of lines goes away, what is lacking is empty."""
    width = len(names)
    while width > 1 and not names[width - 1] and not any(len(row) >= width and row[width - 1] for row in rows):
        width -= 1
    even, short = [], 0
    for row, line in zip(rows, lines, strict=True):
        if any(row[width:]):
            raise TaskError(
                f"the header names {width} columns, but this line has {len(row)}",
                where=f"{path}:{line}",
                remedy="mend the line, or write the `delimiter` that separates the columns",
            )
        short += len(row) < width
        even.append([*row[:width], *[""] * (width - len(row))])
    if short:
        notes.append(
            f"{short} line{'s are' if short > 1 else ' is'} shorter than the header; what they lack is missing"
        )
    return names[:width], even
