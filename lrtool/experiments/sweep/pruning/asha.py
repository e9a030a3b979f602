"""ASHA, asynchronous successive halving (Li et al. 2018): no rung waits for all variants."""

from __future__ import annotations

from lrtool.config.sweep.schema import Prune
from lrtool.experiments.sweep.jobs import Part
from lrtool.experiments.sweep.pruning.base import Losses, Pruner, best
from lrtool.experiments.sweep.trainer import Trainer
from lrtool.runs.sweep.store import Progress, SweepStore


class Asha(Pruner):
    """The pruner ASHA: after each batch, the best 1/factor (rounded down) of all that have reached a rung go on.

    That may be a variant of an earlier batch. Which trials end first plays no part: variants arrive in batches, in
    an order that the plan alone decides, so that a resumed sweep promotes the same. After the last batch at least one
    goes on from each rung that was reached, so that a small sweep has a winner.

    Source: arXiv:1810.05934, algorithm 2.
    """

    patient = True

    def __init__(self, prune: Prune, trainer: Trainer, store: SweepStore) -> None:
        super().__init__(prune, trainer, store)
        self._losses: dict[tuple[Progress, int], Losses] = {}
        self._promoted: dict[tuple[Progress, int], set[str]] = {}

    @property
    def verdict(self) -> str:
        """Why a variant is given up."""
        return f"at no time among the best 1/{self._factor} of the variants that had got so far"

    def chosen(self, part: Part, pool: int, arrived: Losses, last: bool) -> list[str]:
        """Those of the best that have not been promoted before."""
        at = (part.reached, pool)
        losses = self._losses.setdefault(at, {})
        losses.update(arrived)
        promoted = self._promoted.setdefault(at, set())
        most = max(len(losses) // self._factor, last)
        new = [variant for variant in best(losses, most) if variant not in promoted]
        promoted.update(new)
        return new
