"""A schedule as a field of another one, and errors that name the part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Annotated

from pydantic import (
    BeforeValidator,
    SerializeAsAny,
    TypeAdapter,
    ValidationInfo,
    WithJsonSchema,
)

from lrtool.errors import ScheduleError
from lrtool.schedules.base import Schedule


@cache
def _any() -> TypeAdapter[Schedule]:
    from lrtool.schedules import KINDS

    return TypeAdapter(KINDS.annotation())


def _parse(value: object, info: ValidationInfo) -> object:
    schedule = value if isinstance(value, Schedule) else _any().validate_python(value, context=info.context)
    # Before 2.14 pydantic writes a value of a class that was never built only where the field names that class.
    type(schedule).model_rebuild()
    return schedule


if TYPE_CHECKING:
    AnySchedule = Schedule
else:
    #: Any kind, as a config writes it; a list is short for a sequence.
    AnySchedule = Annotated[
        SerializeAsAny[Schedule],
        BeforeValidator(_parse),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string"},
                    {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}}},
                    {"type": "array"},
                ],
                "description": "A schedule: a kind, a mapping with `kind`, or a list of segments.",
            }
        ),
    ]


@contextmanager
def inside(place: str) -> Iterator[None]:
    """Errors of a part name the part."""
    try:
        yield
    except ScheduleError as error:
        where = f"{place}.{error.where}" if error.where else place
        raise ScheduleError(error.what, where=where, remedy=error.remedy) from None
