"""A pruned sweep: variants are trained rung by rung; at each the pruner says who goes on, and that is remembered.

A decision is remembered before anything is trained on it, so that a resumed sweep decides the same, once. A trial
that failed and is retried after its rung was decided is no rival any more: it is trained to the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lrtool.analysis.pruning import Losses, Pruner, Rivals
from lrtool.config.sweep.planner import PlannedTrial
from lrtool.experiments.sweep.jobs import WHOLE, Part, rung
from lrtool.experiments.sweep.trainer import Trainer
from lrtool.runs.sweep.leaders import metric_of
from lrtool.runs.sweep.store import Progress, StoredTrial, SweepStore
from lrtool.status import Status

#: What the facts about who was pruned begin with.
PRUNED = "pruned"


@dataclass(frozen=True)
class ArrivalBatch:
    """Variants of a sweep that arrive together.

    `pools`: those that compete, by the pool's number. `last`: no more will come.
    """

    number: int
    pools: Mapping[int, Sequence[PlannedTrial]]
    last: bool

    @property
    def numbers(self) -> list[int]:
        """The numbers of all trials."""
        return [trial.number for trials in self.pools.values() for trial in trials]


class RungTrainer:
    """Trains variants rung by rung, and gives up those that a pruner does not choose."""

    def __init__(self, pruner: Pruner, trainer: Trainer, store: SweepStore) -> None:
        self._pruner, self._trainer, self._store = pruner, trainer, store
        self._parts = [rung(number, fraction) for number, fraction in enumerate(pruner.fractions, 1)]
        self._rivals: dict[tuple[Progress, int], Rivals] = {}
        self._numbers: dict[str, list[int]] = {}
        self._pools: dict[str, int] = {}
        #: The last rung that each variant has got through, and its loss there.
        self.reached: dict[str, tuple[int, float]] = {}

    def train(self, batch: ArrivalBatch) -> None:
        """Train a batch, and whoever goes on because of it, to the end of what each deserves."""
        for pool, trials in batch.pools.items():
            for trial in trials:
                self._numbers.setdefault(trial.variant, []).append(trial.number)
                self._pools[trial.variant] = pool
        entering = list(dict.fromkeys(trial.variant for trials in batch.pools.values() for trial in trials))
        for number, part in enumerate(self._parts, 1):
            key = f"{PRUNED}:{batch.number}:{part.reached.text}"
            known = self._store.fact(key)
            losses = self._measured(entering, part) if known is None else _read(known["losses"])
            self.reached.update({variant: (number, loss) for variant, loss in losses.items()})
            chosen = self._chosen(part, losses, batch.last)
            entering = chosen if known is None else known["chosen"]
            if known is None:
                self._decided(key, part, losses, entering)
        self._trainer.train(self._trials(entering), WHOLE)

    def finish(self) -> None:
        """Nothing more arrives: give up what still waits."""
        waiting = [trial for trial in self._store.trials() if trial.status is Status.WAITING]
        left = [given_up(trial, self._part(trial), self._pruner.verdict) for trial in waiting]
        if left:
            self._trainer.record_together(left, PRUNED, len(left))

    def chosen(self, part: Part, pool: int, arrived: Losses, last: bool) -> list[str]:
        """Who of a pool goes on, now that these variants have got through a part."""
        rivals = self._rivals.setdefault((part.reached, pool), Rivals())
        rivals.losses.update(arrived)
        chosen = self._pruner.chosen(rivals, arrived.keys(), last)
        rivals.promoted.update(chosen)
        return chosen

    def _chosen(self, part: Part, losses: Losses, last: bool) -> list[str]:
        """Who goes on, pool by pool; also in pools of which nobody has got here this time."""
        arrived: dict[int, Losses] = {pool: {} for pool in self._pools.values()}
        for variant, loss in losses.items():
            arrived[self._pools[variant]][variant] = loss
        return [variant for pool in arrived for variant in self.chosen(part, pool, arrived[pool], last)]

    def _measured(self, entering: Sequence[str], part: Part) -> Losses:
        numbers = self._trials(entering)
        self._trainer.train(numbers, part)
        return mean_losses(self._store.some(numbers), part.reached)

    def _decided(self, key: str, part: Part, losses: Losses, chosen: Sequence[str]) -> None:
        lost = [] if self._pruner.patient else self._trials(losses.keys() - set(chosen))
        pruned = [
            given_up(trial, part, self._pruner.verdict)
            for trial in self._store.some(lost)
            if trial.progress == part.reached
        ]
        self._trainer.record_together(pruned, key, {"losses": _written(losses), "chosen": chosen})

    def _trials(self, variants: Iterable[str]) -> list[int]:
        return sorted(number for variant in variants for number in self._numbers[variant])

    def _part(self, trial: StoredTrial) -> Part:
        return next(part for part in self._parts if part.reached == trial.progress)


def mean_losses(trials: Sequence[StoredTrial], reached: Progress) -> Losses:
    """The mean over its seeds for each variant of which a trial got through a rung (has `reached` it).

    It is infinite where another trial of the variant diverged or failed.
    """
    metric = metric_of(trials)
    losses: dict[str, list[float]] = {}
    for trial in trials:
        loss = trial.values.get(metric, math.inf) if trial.progress == reached else math.inf
        losses.setdefault(trial.variant, []).append(loss)
    left = {trial.variant for trial in trials if trial.progress == reached}
    return {variant: sum(all_) / len(all_) for variant, all_ in losses.items() if variant in left}


def given_up(trial: StoredTrial, part: Part, verdict: str) -> StoredTrial:
    """A trial that is given up after a part: it has no final values."""
    message = f"pruned after {part.fraction:.3g} of the run: {verdict}"
    return replace(trial, status=Status.PRUNED, rung=None, values={}, message=message)


def _written(losses: Losses) -> dict[str, float | None]:
    """As JSON, which knows no infinity."""
    return {variant: loss if math.isfinite(loss) else None for variant, loss in losses.items()}


def _read(losses: Mapping[str, float | None]) -> Losses:
    return {variant: math.inf if loss is None else loss for variant, loss in losses.items()}
