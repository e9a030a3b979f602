"""Durations in samples and tokens, told how many of these an update takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from lrtool.units import Duration, PerUpdate

T = TypeVar("T")


def counted(settings: T, per_update: PerUpdate) -> T:
    """The same settings, in which every duration, however deep, knows what an update takes of the data."""
    found: Any = settings
    match found:
        case Duration():
            found = found.counted(per_update)
        case tuple():
            found = tuple(counted(item, per_update) for item in found)
        case Mapping():
            found = {key: counted(value, per_update) for key, value in found.items()}
        case BaseModel():
            changed = {
                name: counted(getattr(found, name), per_update)
                for name in type(found).model_fields
                if next(durations(getattr(found, name)), None) is not None
            }
            if changed:
                written, found = found.model_fields_set, found.model_copy(update=changed)
                # What was written stays told apart from what was not.
                found.__pydantic_fields_set__.intersection_update(written)
    return found  # type: ignore[no-any-return]


def durations(settings: Any) -> Iterator[Duration]:
    """Every duration in samples or tokens that settings hold."""
    match settings:
        case Duration(unit="samples" | "tokens"):
            yield settings
        case tuple():
            for item in settings:
                yield from durations(item)
        case Mapping():
            yield from durations(tuple(settings.values()))
        case BaseModel():
            yield from durations(tuple(getattr(settings, name) for name in type(settings).model_fields))


def said(config: Any) -> PerUpdate:
    """What a config (of `lrtool.config`) says about what an update takes, without reading its data."""
    data = config.data
    known = data.kind != "use" or "batch_size" in data.model_fields_set
    samples = data.batch_size * config.train.accumulate if known else None
    length = getattr(data, "context", None)
    return PerUpdate(samples, samples * length if samples and isinstance(length, int) else None)
