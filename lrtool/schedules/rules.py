"""Rules on a schedule's plain numbers, with messages that say what to write instead."""

from __future__ import annotations

import math
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


class bounds:  # noqa: N801 - reads as an annotation: Annotated[float, bounds(above=0, example=0.9)]
    """A finite number within bounds; the error names the value, the rule and a value that works.

    `above` and `below` are exclusive, `least` and `most` inclusive.
    """

    def __init__(
        self,
        *,
        above: float | None = None,
        least: float | None = None,
        below: float | None = None,
        most: float | None = None,
        example: float,
    ) -> None:
        self.above, self.least, self.below, self.most, self.example = above, least, below, most, example

    @property
    def rule(self) -> str:
        """The rule in words."""
        words = {"above": self.above, "at least": self.least, "below": self.below, "at most": self.most}
        return " and ".join(f"{word} {limit:g}" for word, limit in words.items() if limit is not None)

    def allows(self, value: float) -> bool:
        """Whether the value keeps the rule."""
        return (
            math.isfinite(value)
            and (self.above is None or value > self.above)
            and (self.least is None or value >= self.least)
            and (self.below is None or value < self.below)
            and (self.most is None or value <= self.most)
        )

    def check(self, value: float) -> float:
        """The value itself, or ValueError."""
        if not self.allows(value):
            raise ValueError(f"must be {self.rule}, but got {value!r}; try {self.example:g}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        limits = {
            "exclusiveMinimum": self.above,
            "minimum": self.least,
            "exclusiveMaximum": self.below,
            "maximum": self.most,
        }
        return {**handler(schema), **{key: limit for key, limit in limits.items() if limit is not None}}
