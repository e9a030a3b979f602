"""Numbers in the page's JSON: curves exact in few bytes, words that repeat only once."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lrtool.report.html.record import Array

#: Whole numbers above this are not exact as floats.
_EXACT = 2**53


class FloatPool:
    """All arrays of a page, one behind the other as little-endian float64; equal arrays are kept once."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._places: dict[bytes, list[int]] = {}
        self._length = 0

    def add(self, values: Array) -> list[int]:
        """Keep an array; gives where it begins and how many numbers it has."""
        data = np.ascontiguousarray(values, dtype="<f8").tobytes()
        if data not in self._places:
            self._places[data] = [self._length, len(values)]
            self._parts.append(data)
            self._length += len(values)
        return self._places[data]

    def text(self) -> str:
        """Everything, in base64."""
        return base64.b64encode(b"".join(self._parts)).decode()


def column(values: Sequence[Any]) -> dict[str, Any]:
    """A table's column: numbers as they are, None where there is none; texts as places in a list of different ones.

    >>> column([1.5, None, 2]), column(["a", "b", "a"])
    ({'numbers': [1.5, None, 2]}, {'words': ['a', 'b'], 'at': [0, 1, 0]})
    """
    if all(value is None or _is_number(value) for value in values):
        return {"numbers": [None if isinstance(v, float) and not math.isfinite(v) else v for v in values]}
    from lrtool.report.html.facts import as_words

    words: dict[str, int] = {}
    places = [words.setdefault(as_words(value), len(words)) for value in values]
    return {"words": list(words), "at": places}


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, float) or (isinstance(value, int) and abs(value) <= _EXACT)
