"""Schedules: pure specifications of how a learning rate moves over a run.

`KINDS` lists them; each is one class in one file of this package.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator

from lrtool.registry import Registry
from lrtool.schedules.base import Schedule
from lrtool.schedules.curve import Curve


class _Schedules(Registry[Schedule]):
    """The registry, with a list as short for a sequence."""

    def annotation(self) -> Any:
        """The type of a config field that takes any schedule."""
        one = super().annotation()
        return Annotated[one, BeforeValidator(_sequence, json_schema_input_type=one | list[dict[str, Any]])]


def _sequence(value: object) -> object:
    return {"kind": "sequence", "segments": value} if isinstance(value, list | tuple) else value


KINDS: Registry[Schedule] = _Schedules(Schedule, __name__, "schedule")

__all__ = ["KINDS", "Curve", "Schedule"]
