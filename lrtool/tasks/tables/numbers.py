"""Numbers and dates as tables have them: with thousands marks, currencies, decimal commas."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

Decimal = Literal[".", ","]

#: What may stand before or after a number.
_CURRENCY = (
    r"(?:[A-Z]{0,3}[$¢£¤¥\u20a0-\u20cf]|kr\.?|Rs\.?|zł|Kč|USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|SEK|NOK|DKK|PLN|BRL)"
)
_UNITS = re.compile(rf"^(?P<sign>[-+]?)\s*{_CURRENCY}\s*|\s*(?:{_CURRENCY}|%|‰)$")
#: What accountants write for a number below 0.
_NEGATIVE = re.compile(r"\((.+)\)")
#: Spaces and strokes between groups of digits, and signs that only look like a minus.
_GAPS = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "'": " ", "’": " ", "−": "-", "–": "-"})
#: A number with its unit, as 12.5 kg.
_MEASURED = re.compile(r"(.*\d)\s*([A-Za-zµ°²³/]{1,6})")
#: Digits in threes, by the decimal mark.
_GROUPED = {
    ".": re.compile(r"[-+]?\d{1,3}([, ]\d{2,3})*[, ]\d{3}(\.\d*)?"),  # in India pairs stand before the last three
    ",": re.compile(r"[-+]?\d{1,3}([. ]\d{3})+(,\d*)?"),
}
_COMMA = re.compile(r"[-+]?\d*,\d+")
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+")
_BOTH = re.compile(r"[-+]?\d{1,3}(\.\d{3})+,\d+")
_POINT = re.compile(r"[-+]?\d*\.\d+")

#: How dates are written, besides ISO 8601, and times after them or alone; of two that fit, the first.
_DAYS = ("%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d-%m-%Y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%b %d %Y",
         "%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y", "%d/%b/%Y", "%a %d %b %Y",
         "%a, %d %b %Y", "%b %Y", "%B %Y", "%b-%y", "%Y/%m", "%m/%Y", "%Y-%m")  # fmt: skip
_TIMES = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p", "%H:%M:%S.%f")
_DATES = (*_DAYS, *(f"{day} {time}" for day in _DAYS[:-1] for time in _TIMES), *_TIMES, "%H.%M.%S")


def number(cell: str, decimal: Decimal = ".") -> float | None:
    """The number that a cell holds, also with a currency, per cent or thousands marks; None if it holds none.

    >>> number("$1,483.00"), number("1.483,5 €", ","), number("12%"), number("x")
    (1483.0, 1483.5, 12.0, None)
    """
    text = cell if cell.isascii() and cell.isdigit() else _plain(cell)
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


def _plain(cell: str) -> str:
    """A cell without currency and per cent, its sign before it and spaces between its groups of digits."""
    text = cell.translate(_GAPS)
    if text[:2] == "- ":
        text = f"-{text[2:]}"
    if text[:1] == "(" and (inside := _NEGATIVE.fullmatch(text)):
        text = f"-{inside[1]}"
    for _ in range(2 if text.strip("0123456789.,+- ") else 0):
        text = _UNITS.sub(lambda found: found["sign"] or "", text)
    return text


def without_unit(cells: Sequence[str], decimal: Decimal = ".") -> tuple[list[str], str]:
    """Cells that all are numbers with the same unit, without it, and that unit; others as they are, and nothing.

    >>> without_unit(["5 kg", "12.5 kg", ""]), without_unit(["5 kg", "3 lb"])
    ((['5', '12.5', ''], 'kg'), (['5 kg', '3 lb'], ''))
    """
    found = [_MEASURED.fullmatch(cell) for cell in cells if any(sign.isdigit() for sign in cell)]
    units = {match[2] if match else "" for match in found}
    if len(found) < 2 or len(units) > 1 or "" in units:
        return list(cells), ""
    if any(match is None or number(match[1].strip(), decimal) is None for match in found):
        return list(cells), ""
    (unit,) = units
    return [match[1].strip() if (match := _MEASURED.fullmatch(cell)) else cell for cell in cells], unit


def is_number(cell: str) -> bool:
    """Whether a cell holds a number in any of the usual ways."""
    return number(cell) is not None or number(cell, ",") is not None


def decimal_mark(cells: Iterable[str], otherwise: Decimal | None = None) -> Decimal | None:
    """The decimal mark that more cells have, or `otherwise` where none of them shows it.

    1,234 is a thousand where nothing else is known: it counts for no mark.

    >>> decimal_mark(["3,50 €", "1.000,00"]), decimal_mark(["1,234"], "."), decimal_mark(["1,234", "2.5"])
    (',', '.', '.')
    """
    commas = points = 0
    for each in cells:
        if "," not in each and "." not in each:
            continue
        cell = each if not each.strip("0123456789.,+-") else _plain(each).replace(" ", "")
        cell = measured[1] if (measured := _MEASURED.fullmatch(cell)) else cell
        commas += bool(_COMMA.fullmatch(cell)) and not _THOUSANDS.fullmatch(cell)
        commas += bool(_BOTH.fullmatch(cell))
        points += bool(_POINT.fullmatch(cell))
    return otherwise if commas == points else "," if commas > points else "."


def dates(cells: Sequence[str]) -> list[datetime] | None:
    """All cells as dates, by the first way of writing them that fits every one; None if there is none.

    >>> dates(["2024-02-01", "2024-12-31"])[1].month, dates(["31.1.2024"])[0].day, dates(["12"])
    (12, 31, None)
    """
    if not cells or any(len(cell) < 5 or not any(sign.isdigit() for sign in cell) for cell in cells):
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
