"""Numbers and dates as tables have them: with thousands marks, currencies, decimal commas."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

Decimal = Literal[".", ","]

#: What may stand before or after a number.
_UNITS = re.compile(r"^[€$£¥]\s*|\s*[€$£¥%]$")
#: Digits in threes, by the decimal mark.
_GROUPED = {
    ".": re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?"),
    ",": re.compile(r"[-+]?\d{1,3}([. ]\d{3})+(,\d*)?"),
}
_COMMA = re.compile(r"[-+]?\d*,\d+")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+")
_POINT = re.compile(r"[-+]?\d*\.\d+")

#: How dates are written, besides ISO 8601; of two that fit, the first.
_DATES = ("%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d-%m-%Y", "%b %d %Y", "%d %b %Y", "%d.%m.%Y %H:%M",
          "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%y")  # fmt: skip


def number(cell: str, decimal: Decimal = ".") -> float | None:
    """The number that a cell holds, also with a currency, per cent or thousands marks; None if it holds none.

    >>> number("$1,483.00"), number("1.483,5 €", ","), number("12%"), number("x")
    (1483.0, 1483.5, 12.0, None)
    """
    text = _UNITS.sub("", _UNITS.sub("", cell)) if (cell and not cell[-1].isdigit()) or cell[:1] in "€$£¥" else cell
    if _GROUPED[decimal].fullmatch(text):
        text = text.replace("," if decimal == "." else ".", "").replace(" ", "")
    if decimal == ",":
        if "." in text:
            return None
        text = text.replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return None


def is_number(cell: str) -> bool:
    """Whether a cell holds a number in any of the usual ways."""
    return number(cell) is not None or number(cell, ",") is not None


def decimal_mark(cells: Iterable[str]) -> Decimal:
    """The decimal mark that more cells have; 1,234 is taken for a thousand."""
    commas = points = 0
    for cell in cells:
        commas += bool(_COMMA.fullmatch(cell)) and not _THOUSANDS.fullmatch(cell)
        points += bool(_POINT.fullmatch(cell))
    return "," if commas > points else "."


def dates(cells: Sequence[str]) -> list[datetime] | None:
    """All cells as dates, by the first way of writing them that fits every one; None if there is none.

    >>> dates(["2024-02-01", "2024-12-31"])[1].month, dates(["31.1.2024"])[0].day, dates(["12"])
    (12, 31, None)
    """
    if not cells or any(len(cell) < 6 for cell in cells):
        return None
    for parse in (_iso, *((lambda text, form=form: datetime.strptime(text, form)) for form in _DATES)):
        try:
            return [parse(cell) for cell in cells]
        except ValueError:
            continue
    return None


def _iso(text: str) -> datetime:
    if "-" not in text:
        # 20240131 is rather a number.
        raise ValueError(text)
    return datetime.fromisoformat(text).replace(tzinfo=None)
