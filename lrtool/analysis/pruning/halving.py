"""Successive halving (Jamieson & Talwalkar 2016): a rung is decided when everybody has reached it."""

from __future__ import annotations

import math
from collections.abc import Set
from typing import ClassVar, Literal

from lrtool.analysis.pruning.base import Pruner, Rivals, best


class Halving(Pruner):
    """A rung waits for all variants; of those that arrive together the best 1/factor (rounded up) go on.

    The others are given up at once.

    >>> Halving(factor=3).chosen(Rivals({"a": 3.0, "b": 1.0, "c": 2.0, "d": 4.0}), {"a", "b", "c", "d"}, last=True)
    ['b', 'c']

    Source: arXiv:1502.07943.
    """

    kind: Literal["halving"] = "halving"
    verdict: ClassVar[str] = "other variants had a lower loss"

    def chosen(self, rivals: Rivals, arrived: Set[str], last: bool) -> list[str]:
        """The best of those that have arrived together."""
        together = {variant: loss for variant, loss in rivals.losses.items() if variant in arrived}
        return best(together, math.ceil(len(together) / self.factor))
