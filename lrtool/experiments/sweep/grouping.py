"""Groups of a sweep's trials that can be trained as one stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lrtool.config.schema import Config
from lrtool.config.settings import digest
from lrtool.config.sweep.planner import PlannedTrial

#: What trials of one group may differ in, besides the optimizer's LR and scheduled hyperparameters.
_FREE = frozenset({"name", "logging", "seed", "schedule", "schedules", "range_test", "cluster"})


@dataclass(frozen=True)
class Group:
    """Trials alike in model, data, batch size, loss, optimizer, precision and length; all that `config` says else."""

    key: str
    trials: tuple[PlannedTrial, ...]

    @property
    def config(self) -> Config:
        """The first trial's config, which stands for all."""
        return self.trials[0].config


def group_trials(trials: Sequence[PlannedTrial]) -> list[Group]:
    """Trials by what must be equal in a stack, in the order of each group's first trial."""
    groups: dict[str, list[PlannedTrial]] = {}
    for trial in trials:
        groups.setdefault(group_key(trial.config), []).append(trial)
    return [Group(key, tuple(members)) for key, members in groups.items()]


def group_key(config: Config) -> str:
    """Twelve hex digits that are the same for configs that differ only in what a stack's trials may."""
    free = {"lr", *config.optimizer.scheduled}
    return digest(config.model_dump(mode="json", exclude={**dict.fromkeys(_FREE, True), "optimizer": free}))
