"""What a task's code remembers besides parameters and buffers, as a table of places and values that can be compared.

Read are the attributes of every submodule and of what they hold (containers, objects, arrays, tensors, random
generators, iterators), classes, functions with what they enclose and their defaults, hooks, and the globals that the
user's functions name. Libraries' own classes and globals are not.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class StatePlace(NamedTuple):
    """Where a value stands: what kind of thing holds it ("the model's attribute"), and its path from there."""

    holder: str
    path: str

    def at(self, step: str) -> StatePlace:
        """The place of a part."""
        joined = f"{self.path}{step}" if self.path else step.removeprefix(".")
        return StatePlace(self.holder, joined)

    def __str__(self) -> str:
        return f"{self.holder} `{self.path}`" if self.path else self.holder.removesuffix("'s attribute")


@dataclass
class Running:
    """Code of the user's that was seen to run, and the globals that it ran among."""

    code: types.CodeType
    globals: Mapping[str, Any]


@dataclass
class Fingerprint:
    """All that was found to be remembered.

    `values`: a value for each place, comparable. `unread`: places whose state no way is known to read.

    `codes`: the user's code that was met, by which a place can be found in his files.
    """

    values: dict[StatePlace, Any] = field(default_factory=dict)
    unread: dict[StatePlace, str] = field(default_factory=dict)
    codes: dict[types.CodeType, None] = field(default_factory=dict)

    def changed(self, other: Fingerprint) -> StatePlace | None:
        """The place that says most closely where two differ; None where they are alike."""
        mine, its = self.values, other.values
        if mine == its:
            return None
        differing = [place for place in mine.keys() & its.keys() if mine[place] != its[place]]
        if differing:
            # What a place holds is part of what the place above it is.
            return min(differing, key=lambda place: (-_depth(place), place))
        return min(mine.keys() ^ its.keys(), key=lambda place: (_depth(place), place))


def _depth(place: StatePlace) -> int:
    return place.path.count(".") + place.path.count("[")


Parts = Iterable[tuple[StatePlace, Any]]
