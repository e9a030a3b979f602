"""fastai's `valley`."""

from __future__ import annotations

from bisect import bisect_left
from typing import Literal

import numpy as np

from lrtool.analysis.suggest.base import Array
from lrtool.analysis.suggest.fastai import FastaiMethod


class Valley(FastaiMethod):
    """The LR half-way through the "longest valley".

    The longest strictly decreasing *subsequence* of the losses ends at index e and has n members;
    with s = e − n the answer is lr[s + int(n/3) + int(n/6)].

    Quirks. A subsequence need not be contiguous: its n members may be strewn over the whole curve, and
    s = e − n is then nowhere near its first member, so the answer can lie where the loss rises. (Even for
    a contiguous valley s is one point before its start, and −1 where the valley starts the curve: the
    formula may then give index −1, the last LR.) On a noisy flat or rising curve there is always some
    subsequence, so there is always an answer. The peer needs O(n²) comparisons; this one O(n log n).

    Source: fastai 2.7, `callback/schedule.py`, `valley`; Ewald 2021, "ESRNN LR finder".
    """

    kind: Literal["valley"] = "valley"

    def pick(self, lr: Array, losses: Array) -> float | None:
        """The LR in the middle of the longest decreasing subsequence, counted back from its end."""
        lengths = decreasing_lengths(losses)
        end = int(np.argmax(lengths))
        # A curve that never falls leaves the peer at its initial values, start 0 and end 0.
        start = end - int(lengths[end]) if lengths[end] > 1 else 0
        third = (end - start) / 3
        return float(lr[start + int(third) + int(third / 2)])


def decreasing_lengths(values: Array) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Length of the longest strictly decreasing subsequence that ends at each index."""
    tails: list[float] = []
    lengths = np.empty(len(values), dtype=np.int64)
    for i, value in enumerate((-values).tolist()):
        place = bisect_left(tails, value)
        tails[place : place + 1] = [value]
        lengths[i] = place + 1
    return lengths
