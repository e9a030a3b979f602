"""Text from files and configs, made safe to show: what would move a cursor or begin a line is written out."""

from __future__ import annotations

import json
import re

#: Control characters, line separators, marks that change the direction of writing, halves of surrogate pairs, and what
#: is no character, so that no XML may hold it.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")

#: What spreadsheets begin a formula with.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def printable(text: str, keep: str = "") -> str:
    r"""The text with every control character written as an escape, but for those to `keep`.

    >>> print(printable("a\nb\x1b[2J\uffff"))
    a\nb\x1b[2J\uffff
    """
    return _HIDDEN.sub(lambda found: found[0] if found[0] in keep else ascii(found[0])[1:-1], text)


def one_line(name: str) -> str:
    r"""A name as it is, or as a JSON string where it has control characters: different names stay different.

    >>> print(one_line("cosine"), one_line("a\nb"))
    cosine "a\nb"
    """
    return json.dumps(name).replace("\x7f", "\\u007f") if _HIDDEN.search(name) else name


def brief(text: str, most: int = 300) -> str:
    """A text in one line, cut at the end of a word where it is longer than `most`.

    >>> brief("two\\n  lines"), brief("some words that go on", 12)
    ('two lines', 'some words …')
    """
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    head = line[: most - 1]
    return f"{head.rpartition(' ')[0] if ' ' in head[most // 2 :] else head.rstrip()} …"


def cell(value: object) -> object:
    """A value of a CSV table: text that a spreadsheet would take for a formula gets an apostrophe before it.

    >>> cell("=HYPERLINK(1)"), cell("-1e-3"), cell("cosine"), cell(-1.5)
    ("'=HYPERLINK(1)", '-1e-3', 'cosine', -1.5)
    """
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
