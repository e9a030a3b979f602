"""What may be another in a run that goes on: the keys of its config that decide nothing of what is done already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lrtool.errors import UsageError

#: A curve is a pure function of the step, and where a run is looked at or saved is no part of its training.
_MAY = ("train.duration", "train.eval_every", "train.checkpoint_every", "schedule", "schedules", "plateau",
        "optimizer.lr", "range_test", "name", "device")  # fmt: skip


def check_changes(then: Mapping[str, Any], now: Mapping[str, Any], where: str) -> None:
    """Raise UsageError, which names the keys, where two configs as plain data differ in more than a run can go on with.

    >>> check_changes({"train": {"duration": "5ep"}}, {"train": {"duration": "9ep"}}, "run")
    """
    before, after = values_by_key(then), values_by_key(now)
    differing = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    refused = [key for key in differing if not any(key == may or key.startswith(f"{may}.") for may in _MAY)]
    if refused:
        changes = ", ".join(f"{key} ({before.get(key)!r} → {after.get(key)!r})" for key in refused)
        raise UsageError(
            f"a run cannot go on with another {changes}",
            where=where,
            remedy="only its length, its schedule and LR, and how often it is validated or saved may change; start a"
            " new run from its weights with --init-from",
        )


def values_by_key(data: Any) -> dict[str, Any]:
    """The values of nested data by dotted keys; mappings with nothing in them are none."""
    return {key: value for key, value in flattened(data) if value != {}}


def flattened(data: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted keys and values; lists are values, and so are empty mappings.

    >>> [*flattened({"a": {"b": 1, "c": [2]}, "d": {}})]
    [('a.b', 1), ('a.c', [2]), ('d', {})]
    """
    if isinstance(data, Mapping) and data:
        for name, inner in data.items():
            yield from flattened(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, data
