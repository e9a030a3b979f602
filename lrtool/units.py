"""Durations and levels: the two quantities a user may write in more than one unit.

Parts of a run are rounded to whole updates here and nowhere else: to the nearest, halves up, from what was written
("29%" of 50 is 14.5, so 15, whatever 0.29 is in binary).
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

Unit = Literal["steps", "epochs", "percent", "samples", "tokens"]

_DIGITS = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_NUMBER = re.compile(rf"\s*[+-]?{_DIGITS}\s*")
_DURATION = re.compile(rf"\s*({_DIGITS})\s*(?:(ep|%)|([kKMBGT]?)\s*(samples?|tokens?))\s*")
_PERCENT = re.compile(rf"\s*({_DIGITS})\s*%\s*")

#: Units beside whole updates, as they are written.
_UNITS: Mapping[str, Unit] = {"ep": "epochs", "%": "percent", "sample": "samples", "token": "tokens"}
#: What a letter before samples or tokens multiplies by.
_TIMES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "B": 10**9, "G": 10**9, "T": 10**12}

#: Updates that a float counts exactly; no run comes near.
MOST_UPDATES = 2**53
#: A level so little above the peak is the peak: dividing one number by another may round up.
ROUNDING = 1e-9


class _Parsed(ABC):
    """Shared pydantic plumbing: `parse` reads what a user wrote, `written` gives it back."""

    @classmethod
    @abstractmethod
    def parse(cls, value: object) -> Self:
        """What a user wrote; ValueError where it is no such quantity."""

    @abstractmethod
    def written(self) -> int | float | str:
        """As a user writes it."""

    @classmethod
    @abstractmethod
    def _json_schema(cls) -> JsonSchemaValue:
        """What may be written."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(_write),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return cls._json_schema()


def number(value: object) -> float | None:
    """The finite float that a number, or a number as text, stands for; None where it is none.

    Plain YAML readers give `1e-5` as text.

    >>> number("1e-5"), number(3), number("1e400"), number(10**400), number("1_000"), number(True)
    (1e-05, 3.0, None, None, None, None)
    """
    if isinstance(value, bool) or not (hasattr(value, "__float__") or isinstance(value, str)):
        return None
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return None
    try:
        found = float(value)
    except (OverflowError, TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def whole(value: object) -> int | None:
    """The number of updates that a whole number, also as text, stands for; None where it is none or cannot be counted.

    >>> whole(500), whole("1e3"), whole(2.5), whole(-1), whole(2**60)
    (500, 1000, None, None, None)
    """
    found = number(value)
    return int(found) if found is not None and 0 <= found <= MOST_UPDATES and found.is_integer() else None


def rounded(exact: Fraction) -> int:
    """The nearest whole number of updates, halves up; raises ValueError beyond what can be counted."""
    updates = math.floor(exact + Fraction(1, 2))
    if updates > MOST_UPDATES:
        raise ValueError(f"it comes to more than {MOST_UPDATES:,} updates, which cannot be counted; write less")
    return updates


def at_peak(fraction: float) -> float:
    """A fraction of the peak, taken for the peak itself where it is above it by no more than rounding."""
    return 1.0 if 1 < fraction <= 1 + ROUNDING else fraction


def _plain(amount: float) -> str:
    """A number that reads back as the same, without a needless `.0`."""
    return repr(float(amount)).removesuffix(".0")


def shown(value: object) -> str:
    """A value in a message: cut where it is long, and never an error itself."""
    try:
        text = repr(value)
    except ValueError:  # an int of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:59]}…"


def _write(value: object) -> object:
    # A resolved schedule holds plain numbers where a user's holds quantities.
    return value.written() if isinstance(value, _Parsed) else value


@dataclass(frozen=True)
class PerUpdate:
    """What one update takes of the data: samples and tokens; None where it is not known, or there are none."""

    samples: int | None = None
    tokens: int | None = None


@dataclass(frozen=True)
class Duration(_Parsed):
    """A number of updates: `500`, `"5ep"` (epochs), `"10%"` (of the run), `"300k samples"` or `"10B tokens"`.

    Letters before samples and tokens: k 10³, M 10⁶, B (or G) 10⁹, T 10¹².

    >>> Duration.parse("10%").steps(total=200)
    20
    >>> Duration.parse("2ep").steps(total=200, per_epoch=25)
    50
    >>> Duration.parse("5%").steps(total=10), Duration.parse("4%").steps(total=10)
    (1, 0)
    >>> Duration.parse("1M samples").counted(PerUpdate(samples=64)).steps()
    15625
    """

    amount: float
    unit: Unit = "steps"
    #: Samples or tokens of an update, where it counts these and they are known: what was written stays as it is.
    one: int | None = field(default=None, compare=False, repr=False)

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a duration as written; raises ValueError with the rule and an example."""
        if isinstance(value, cls):
            return value
        if (updates := whole(value)) is not None:
            return cls(updates)
        if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
            found = number(match[1])
            times = _TIMES[match[3] or ""]
            # As it was written: 0.3M samples are 300,000.
            amount = None if found is None else float(Fraction(match[1]) * times) if times > 1 else found
            if amount is not None and amount <= (MOST_UPDATES if match[2] else MOST_UPDATES * 10**6):
                return cls(amount, _UNITS[match[2] or match[4].removesuffix("s")])
        raise ValueError(
            "a duration is a whole number of updates (500), epochs ('5ep'), part of the run ('10%'), '300k samples'"
            f" or '10B tokens', but got {shown(value)}"
        )

    def counted(self, per_update: PerUpdate) -> Self:
        """The same, knowing how many samples or tokens an update takes where it counts these."""
        if self.unit not in ("samples", "tokens"):
            return self
        return replace(self, one=getattr(per_update, self.unit))

    def exact(self, total: int | None = None, per_epoch: int | None = None) -> Fraction:
        """Updates before they are rounded, of the amount as it was written.

        Raises ValueError where the unit has no meaning here.
        """
        amount = Fraction(str(self.amount))
        match self.unit:
            case "steps":
                return amount
            case "epochs":
                if per_epoch is None:
                    raise ValueError(
                        f"{self.written()!r} counts epochs, but the steps per epoch are unknown here;"
                        " give a number of updates or a percentage"
                    )
                return amount * per_epoch
            case "percent":
                if total is None:
                    raise ValueError(
                        f"{self.written()!r} is a part of the run, but the run's length is unknown here;"
                        " give a number of updates or epochs"
                    )
                return amount * total / 100
            case "samples" | "tokens":
                if self.one is None:
                    raise ValueError(_uncounted(self))
                return amount / self.one

    def steps(self, total: int | None = None, per_epoch: int | None = None) -> int:
        """Whole updates, the nearest, halves up; raises ValueError where they cannot be told or counted."""
        return rounded(self.exact(total, per_epoch))

    def written(self) -> int | str:
        """As a user writes it."""
        if self.unit == "steps":
            return int(self.amount)
        if self.unit in ("samples", "tokens"):
            return f"{_with_letter(self.amount)} {self.unit}"
        return f"{_plain(self.amount)}{'ep' if self.unit == 'epochs' else '%'}"

    @classmethod
    def _json_schema(cls) -> JsonSchemaValue:
        return {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MOST_UPDATES},
                {"type": "string", "pattern": r"^\s*[0-9.eE+-]+\s*(ep|%|[kKMBGT]?\s*(samples?|tokens?))?\s*$"},
            ],
            "examples": [500, "5ep", "10%", "1M samples", "10B tokens"],
        }


def _uncounted(duration: Duration) -> str:
    """Why samples or tokens cannot be told in updates here."""
    unit = duration.unit
    if unit == "tokens":
        why = "how many tokens an update takes is unknown here: the data have no sequences of tokens, or are not read"
    else:
        why = "how many samples an update takes is unknown here"
    return f"{duration.written()!r} counts {unit}, but {why}; give a number of updates or epochs"


def _with_letter(amount: float) -> str:
    """A large number with its letter: 300k, 1.5M, 10B."""
    for letter, times in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("k", 10**3)):
        if amount >= times and (Fraction(str(amount)) * 1000 / times).denominator == 1:
            return f"{_plain(amount / times)}{letter}"
    return _plain(amount)


@dataclass(frozen=True)
class Level(_Parsed):
    """A value of the curve: `1e-5` (absolute) or `"1%"` (of the peak).

    >>> Level.parse("1%").fraction(peak=0.1), Level.parse(0.05).fraction(peak=0.1)
    (0.01, 0.5)
    """

    amount: float
    relative: bool = False

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a level as written; raises ValueError with the rule and an example."""
        if isinstance(value, cls):
            return value
        # A whole number in quotes is left out: it may as well be a percentage that lost its sign.
        if not (isinstance(value, str) and value.strip().isdecimal()):
            amount = number(value)
            if amount is not None and amount >= 0:
                return cls(amount)
        if isinstance(value, str) and (match := _PERCENT.fullmatch(value)):
            amount = number(match[1])
            if amount is not None:
                return cls(amount, relative=True)
        raise ValueError(
            f"a level is a number of at least 0 (1e-5) or a part of the peak ('1%'), but got {shown(value)}"
        )

    def fraction(self, peak: float) -> float:
        """As a fraction of the peak; exactly 1 where it is above it by no more than rounding."""
        return at_peak(self.amount / 100 if self.relative else self.amount / peak)

    def written(self) -> float | str:
        """As a user writes it."""
        return f"{_plain(self.amount)}%" if self.relative else self.amount

    @classmethod
    def _json_schema(cls) -> JsonSchemaValue:
        return {
            "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^\s*[0-9.eE+-]+\s*%?\s*$"}],
            "examples": [1e-5, "1%"],
        }
