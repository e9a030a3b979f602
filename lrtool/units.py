"""Durations and levels: the two quantities a user may write in more than one unit."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_DURATION = re.compile(rf"^\s*({_NUMBER})\s*(ep|%)\s*$")
_PERCENT = re.compile(rf"^\s*({_NUMBER})\s*%\s*$")


class _Parsed:
    """Shared pydantic plumbing: `parse` reads what a user wrote, `written` gives it back."""

    @classmethod
    def parse(cls, value: object) -> Self:
        raise NotImplementedError

    def written(self) -> int | float | str:
        raise NotImplementedError

    @classmethod
    def _json_schema(cls) -> JsonSchemaValue:
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(_write),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return cls._json_schema()


def _is_amount(value: float) -> bool:
    """Whether a number is at least 0 and finite as a float; an int may be too large for one."""
    return 0 <= value <= sys.float_info.max


def _write(value: object) -> object:
    # A resolved schedule holds plain numbers where a user's holds quantities.
    return value.written() if isinstance(value, _Parsed) else value


@dataclass(frozen=True)
class Duration(_Parsed):
    """A number of updates: `500` (updates), `"5ep"` (epochs) or `"10%"` (of the run).

    >>> Duration.parse("10%").steps(total=200)
    20
    >>> Duration.parse("2ep").steps(total=200, per_epoch=25)
    50
    """

    amount: float
    unit: Literal["steps", "epochs", "percent"] = "steps"

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a duration as written; raises ValueError with the rule and an example."""
        if isinstance(value, cls):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            if _is_amount(value) and float(value).is_integer():
                return cls(int(value))
        elif isinstance(value, str):
            if match := _DURATION.match(value):
                unit: Literal["epochs", "percent"] = "epochs" if match[3] == "ep" else "percent"
                return cls(float(match[1]), unit)
            if value.strip().isdigit():
                return cls(int(value))
        raise ValueError(
            f"a duration is a whole number of updates (500), epochs ('5ep') or a part of the run ('10%'),"
            f" but got {value!r}"
        )

    def steps(self, total: int | None = None, per_epoch: int | None = None) -> int:
        """Whole updates, rounded to the nearest; raises ValueError where the unit has no meaning here."""
        match self.unit:
            case "steps":
                return int(self.amount)
            case "epochs":
                if per_epoch is None:
                    raise ValueError(
                        f"{self.written()!r} counts epochs, but the steps per epoch are unknown here;"
                        " give a number of updates or a percentage"
                    )
                return round(self.amount * per_epoch)
            case "percent":
                if total is None:
                    raise ValueError(
                        f"{self.written()!r} is a part of the run, but the run's length is unknown here;"
                        " give a number of updates or epochs"
                    )
                return round(self.amount / 100 * total)

    def written(self) -> int | str:
        """As a user writes it."""
        if self.unit == "steps":
            return int(self.amount)
        return f"{self.amount:.12g}{'ep' if self.unit == 'epochs' else '%'}"

    @classmethod
    def _json_schema(cls) -> JsonSchemaValue:
        return {
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\s*[\d.eE+-]+\s*(ep|%)\s*$"}],
            "examples": [500, "5ep", "10%"],
        }


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
        if isinstance(value, int | float) and not isinstance(value, bool):
            if _is_amount(value):
                return cls(float(value))
        elif isinstance(value, str) and (match := _PERCENT.match(value)):
            return cls(float(match[1]), relative=True)
        raise ValueError(f"a level is a number of at least 0 (1e-5) or a part of the peak ('1%'), but got {value!r}")

    def fraction(self, peak: float) -> float:
        """As a fraction of the peak."""
        return self.amount / 100 if self.relative else self.amount / peak

    def written(self) -> float | str:
        """As a user writes it."""
        return f"{self.amount:.12g}%" if self.relative else self.amount

    @classmethod
    def _json_schema(cls) -> JsonSchemaValue:
        return {
            "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^\s*[\d.eE+-]+\s*%\s*$"}],
            "examples": [1e-5, "1%"],
        }
