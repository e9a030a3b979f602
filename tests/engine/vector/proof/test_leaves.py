"""Values without parts, as something comparable."""

from __future__ import annotations

import array
import datetime
import enum
import hashlib
import re
import threading
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from lrtool.engine.vector.proof.leaves import atom, digest, leaf


class Color(enum.Enum):
    RED, BLUE = 1, 2


def test_plain_values_are_told_apart_by_type_and_value() -> None:
    assert len({atom(each) for each in (1, True, 1.0, "1", b"1", None, 2)}) == 7
    assert atom(float("nan")) == atom(float("nan")) and atom(0.0) != atom(-0.0)
    assert atom([1]) is None and atom(object()) is None


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (Color.RED, Color.RED, Color.BLUE),
        (np.float32(1), np.float32(1), np.float32(2)),
        (torch.float32, torch.float32, torch.float64),
        (Fraction(1, 2), Fraction(2, 4), Fraction(1, 3)),
        (datetime.date(2020, 1, 1), datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)),
        (re.compile("a"), re.compile("a"), re.compile("b")),
        (bytearray(b"a"), bytearray(b"a"), bytearray(b"b")),
        (array.array("i", [1]), array.array("i", [1]), array.array("i", [2])),
        (generator(0), generator(0), generator(1)),
        (hashlib.sha256(b"a"), hashlib.sha256(b"a"), hashlib.sha256(b"b")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_values_too(one: Any, same: Any, other: Any) -> None:
    assert leaf(one) is not None and leaf(one) == leaf(same) != leaf(other)


def test_what_has_parts_is_no_leaf_and_what_keeps_no_state_is_stateless() -> None:
    assert leaf([]) is None and leaf({}) is None
    assert leaf(threading.Lock()) == leaf(threading.Lock())


def test_tensors_are_compared_by_content_whatever_their_form() -> None:
    assert digest(torch.ones(3)) == digest(torch.ones(6)[::2]) != digest(torch.zeros(3))
    assert digest(np.ones(3)) == digest(np.ones(6)[::2]) != digest(np.zeros(3))
    assert digest(torch.ones(2, dtype=torch.bfloat16)) != digest(torch.zeros(2, dtype=torch.bfloat16))
    assert digest(torch.ones(2).to_sparse()) == ("unreadable", torch.sparse_coo)


def test_a_large_tensor_that_was_changed_in_place_is_another_one() -> None:
    large = torch.zeros(2**20)
    before = digest(large)
    large[1] = 1.0  # not among the values that are read
    assert digest(large) != before
