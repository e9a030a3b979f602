"""The leading variants of a sweep: means over seeds, nothing more; `lrtool compare` has the statistics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lrtool.runs.sweep.store import StoredTrial
from lrtool.status import Status


@dataclass(frozen=True)
class Leader:
    """A leading variant: the mean of the metric over its `finished` trials; `others` diverged or failed."""

    variant: str
    settings: dict[str, Any]
    mean: float
    finished: int
    others: int


class Leaders:
    """The ranking of a sweep's variants while trials come in; `ranked` is best first."""

    def __init__(self, trials: Iterable[StoredTrial] = ()) -> None:
        self._sums: dict[str, dict[str, float]] = {}
        self._counts: dict[str, list[int]] = {}
        self._settings: dict[str, dict[str, Any]] = {}
        for trial in trials:
            self.add(trial)

    @property
    def metric(self) -> str:
        """What is compared: the final validation loss where there is one, else the final training loss."""
        return "val_loss" if any("val_loss" in sums for sums in self._sums.values()) else "train_loss"

    def add(self, trial: StoredTrial) -> None:
        """A trial has ended."""
        self._settings.setdefault(trial.variant, trial.settings)
        counts = self._counts.setdefault(trial.variant, [0, 0])
        counts[trial.status is not Status.FINISHED] += 1
        sums = self._sums.setdefault(trial.variant, {})
        # What waits for its rivals has values too, but of a part of the run.
        for name in ("val_loss", "train_loss") if trial.status is Status.FINISHED else ():
            if name in trial.values:
                sums[name] = sums.get(name, 0.0) + trial.values[name]

    def ranked(self) -> list[Leader]:
        """Variants by mean, those of which a trial diverged or failed last."""
        metric = self.metric
        found = [
            Leader(variant, self._settings[variant], sums[metric] / self._counts[variant][0], *self._counts[variant])
            for variant, sums in self._sums.items()
            if metric in sums
        ]
        return sorted(found, key=lambda each: (each.others > 0, each.mean))


def metric_of(trials: Iterable[StoredTrial]) -> str:
    """What trials are compared by, whether they have finished or wait for their rivals."""
    return "val_loss" if any("val_loss" in trial.values for trial in trials) else "train_loss"
