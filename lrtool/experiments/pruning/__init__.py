"""Giving up early on variants that lag behind: one method a file."""

from __future__ import annotations

from lrtool.config.sweep import Prune
from lrtool.experiments.pruning.asha import Asha
from lrtool.experiments.pruning.base import Pruner
from lrtool.experiments.pruning.halving import Halving
from lrtool.experiments.trainer import Trainer
from lrtool.runs.store import SweepStore

_KINDS: dict[str, type[Pruner]] = {"halving": Halving, "asha": Asha}


def pruner(prune: Prune, trainer: Trainer, store: SweepStore) -> Pruner:
    """The pruner that a sweep's config asks for."""
    return _KINDS[prune.kind](prune, trainer, store)
