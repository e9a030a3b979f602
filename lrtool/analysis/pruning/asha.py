"""ASHA, asynchronous successive halving (Li et al. 2018): no rung waits for all variants."""

from __future__ import annotations

from collections.abc import Set
from typing import ClassVar, Literal

from lrtool.analysis.pruning.base import Pruner, Rivals, best


class Asha(Pruner):
    """After each batch, the best 1/factor (rounded down) of all that have reached a rung so far go on.

    Variants arrive in batches; the first finish early, and some go on that would not have, had the rung waited. That
    may be a variant of an earlier batch. Which trials end first plays no part: variants arrive in an order that the
    plan alone decides, so that a resumed sweep promotes the same. After the last batch at least one goes on from each
    rung that was reached, so that a small sweep has a winner.

    >>> Asha(factor=2).chosen(Rivals({"a": 3.0, "b": 1.0, "c": 2.0, "d": 4.0}, {"b"}), {"c", "d"}, last=False)
    ['c']

    Source: arXiv:1810.05934, algorithm 2.
    """

    in_batches: ClassVar[bool] = True
    patient: ClassVar[bool] = True

    kind: Literal["asha"] = "asha"

    @property
    def verdict(self) -> str:
        """Why a variant is given up."""
        return f"at no time among the best 1/{self.factor} of the variants that had got so far"

    def chosen(self, rivals: Rivals, arrived: Set[str], last: bool) -> list[str]:
        """Those of the best that have not been promoted before."""
        most = max(len(rivals.losses) // self.factor, last)
        return [variant for variant in best(rivals.losses, most) if variant not in rivals.promoted]
