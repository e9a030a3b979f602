"""What plain Python objects hold, remembered so that the same objects can be made to hold it again."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrtool.live.storage import TensorStorage

Restore = Callable[[], object]

#: Objects whose state is a stream of random numbers.
GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)
#: Objects that are looked through for generators: their attributes, and those of their attributes.
_DEPTH = 3


class Remembered:
    """What objects hold now; `restore` puts all of it back into the same objects, as often as it is asked.

    Of lists, dictionaries, sets and tensors their content is remembered; of other objects that they are there. One that
    cannot be put back does not keep the others from it: the first error is raised when all are done.
    """

    def __init__(self, storage: TensorStorage) -> None:
        self._storage = storage
        self._restores: list[Restore] = []
        self._known: dict[int, Any] = {}

    def restore(self) -> None:
        """Put everything back."""
        errors: list[BaseException] = []
        for put_back in self._restores:
            try:
                put_back()
            except KeyboardInterrupt:
                raise  # whoever asked tries again
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def then(self, put_back: Restore) -> None:
        """Call this too."""
        self._restores.append(put_back)

    def value(self, value: Any) -> None:
        """Remember what a value holds, and what that holds in turn."""
        if id(value) in self._known or isinstance(value, str | bytes | int | float | bool | type(None)):
            return
        self._known[id(value)] = value  # kept alive, so that no other object gets its number
        match value:
            case Tensor():
                self.then(self._storage.keep(value).put_back)
            case dict():
                self._dict(value)
            case list() | deque():
                self._sequence(value)
            case set():
                held = set(value)
                self.then(lambda: _refill(value, value.update, held))
            case tuple():
                self._all(value)
            case _ if isinstance(value, GENERATORS):
                self.then(state_of(value))

    def attributes(self, owner: Any) -> None:
        """Remember which attributes an object has, and what they hold."""
        own = getattr(owner, "__dict__", None)
        if isinstance(own, dict):
            self.value(own)

    def shallow(self, owner: Any) -> None:
        """Remember which attributes an object has; of what they hold only random generators and tensors' content."""
        own = getattr(owner, "__dict__", None)
        if not isinstance(own, dict) or id(own) in self._known:
            return
        self._known[id(own)] = own
        held = dict(own)
        self.then(lambda: _reset(own, held))
        for generator in generators_in(owner):
            self.value(generator)

    def _dict(self, value: dict[Any, Any]) -> None:
        held = dict(value)
        self.then(lambda: _reset(value, held))
        self._all(held.values())

    def _sequence(self, value: Any) -> None:
        held = list(value)
        self.then(lambda: None if _same(value, held) else _refill(value, value.extend, held))
        self._all(held)

    def _all(self, values: Iterable[Any]) -> None:
        for each in values:
            self.value(each)


def _reset(value: dict[Any, Any], held: dict[Any, Any]) -> None:
    """Make a dictionary hold exactly this, in this order."""
    if _same(value, held):
        # The usual case, in which the dictionary is never without an entry.
        for key, each in held.items():
            if value[key] is not each:
                value[key] = each
        return
    value.clear()
    value.update(held)


def _same(value: Any, held: Any) -> bool:
    """Whether these are the very same objects, or keys, in the same order."""
    return len(value) == len(held) and all(a is b for a, b in zip(value, held, strict=True))


def _refill(value: Any, fill: Callable[[Any], object], held: Any) -> None:
    value.clear()
    fill(held)


def state_of(generator: Any) -> Restore:
    """What puts a generator of random numbers back to where it is now."""
    match generator:
        case torch.Generator():
            state = generator.get_state()
            return lambda: generator.set_state(state)
        case random.Random():
            words = generator.getstate()
            return lambda: generator.setstate(words)
        case np.random.RandomState():
            legacy = generator.get_state(legacy=False)
            return lambda: generator.set_state(legacy)
        case _:
            inner = generator.bit_generator.state
            return lambda: setattr(generator.bit_generator, "state", inner)


def generators_in(owner: Any, depth: int = _DEPTH) -> list[Any]:
    """The generators of random numbers that an object has, or that its attributes and their parts have."""
    found: dict[int, Any] = {}
    seen: set[int] = set()

    def look(value: Any, left: int) -> None:
        if id(value) in seen or isinstance(value, str | bytes | int | float | Tensor | np.ndarray | type | nn.Module):
            return
        seen.add(id(value))
        if isinstance(value, GENERATORS):
            found[id(value)] = value
        elif left:
            parts: Any = getattr(value, "__dict__", None)
            if isinstance(value, dict):
                parts = value
            if isinstance(value, list | tuple):
                parts = dict(enumerate(value[:64]))
            for part in list(parts.values()) if isinstance(parts, dict) else ():
                look(part, left - 1)

    look(owner, depth)
    return list(found.values())
