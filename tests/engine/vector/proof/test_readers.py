"""Each type of value that may hold state: a change in it is seen, and an equal value is equal."""

from __future__ import annotations

import collections
import functools
import io
import itertools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from torch import nn

from lrtool.engine.vector.proof.fingerprint import Fingerprint, StatePlace
from lrtool.engine.vector.proof.walk import fingerprint


def read(value: Any) -> Fingerprint:
    return fingerprint(nn.Module(), [(StatePlace("the value", ""), value)])


class Owner:
    def __init__(self) -> None:
        self.count = 0

    def step(self) -> None:
        self.count += 1


@functools.lru_cache
def cached(x: int) -> int:
    return x


def counting() -> Callable[[], int]:
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return count

    return step


def with_default(seen: list[int] = []) -> None:  # noqa: B006 - state of a default is what is looked at
    seen.append(1)


def a_generator() -> Any:
    yield from range(10)


#: How a value is made, and what changes it.
CHANGES: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "list": (lambda: [1, 2], lambda it: it.append(3)),
    "long list": (lambda: list(range(100)), lambda it: it.__setitem__(50, -1)),
    "tuple of lists": (lambda: ([1],), lambda it: it[0].append(3)),
    "deque": (lambda: collections.deque([1]), lambda it: it.append(3)),
    "dict": (lambda: {"a": 1}, lambda it: it.update(b=2)),
    "long dict": (lambda: dict.fromkeys(range(100), 0), lambda it: it.update({5: 1})),
    "order of a dict": (lambda: collections.OrderedDict(a=1, b=2), lambda it: it.move_to_end("a")),
    "defaultdict": (lambda: collections.defaultdict(int), lambda it: it["a"]),
    "dict by objects": (lambda: {Owner: 1}, lambda it: it.update({Owner: 2})),
    "set": (lambda: {1, 2}, lambda it: it.add(3)),
    "array": (lambda: np.zeros(3), lambda it: it.__setitem__(1, 1.0)),
    "array of objects": (lambda: np.array([[1], None], dtype=object), lambda it: it[0].append(2)),
    "random": (lambda: random.Random(0), lambda it: it.random()),
    "numpy's generator": (lambda: np.random.default_rng(0), lambda it: it.random()),
    "numpy's old generator": (lambda: np.random.RandomState(0), lambda it: it.rand()),
    "enclosed variable": (counting, lambda it: it()),
    "default argument": (lambda: with_default, lambda it: it()),
    "bound method": (lambda: Owner().step, lambda it: it()),
    "bound builtin": (lambda: [].append, lambda it: it(1)),
    "partial": (lambda: functools.partial(max, [1]), lambda it: it.args[0].append(3)),
    "cache": (lambda: cached, lambda it: it(random.getrandbits(60))),
    "generator": (a_generator, next),
    "iterator": (lambda: iter([1, 2, 3]), next),
    "counter": (lambda: itertools.count(), next),
    "file": (lambda: io.StringIO("ab"), lambda it: it.read(1)),
    "object": (Owner, lambda it: it.step()),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen_and_an_equal_value_is_equal(name: str) -> None:
    make, change = CHANGES[name]
    value = make()
    before = read(value)
    assert before.changed(read(value)) is None and not before.unread
    change(value)
    assert before.changed(read(value)) is not None


def test_the_operating_systems_generator_has_no_state_to_read() -> None:
    value = random.SystemRandom()
    before = read(value)
    value.random()
    assert before.changed(read(value)) is None


def test_a_cell_that_is_not_filled_yet_can_be_read() -> None:
    def outer() -> Callable[[], int]:
        def inner() -> int:
            return later

        if random.getrandbits(1) > 1:
            later = 1
        return inner

    assert not read(outer()).unread
