"""Giving up early on variants that lag behind: one method a file."""

from __future__ import annotations

from lrtool.config.sweep.schema import Prune
from lrtool.experiments.sweep.pruning.asha import Asha
from lrtool.experiments.sweep.pruning.base import Pruner
from lrtool.experiments.sweep.pruning.halving import Halving
from lrtool.experiments.sweep.trainer import Trainer
from lrtool.runs.sweep.store import SweepStore

_KINDS: dict[str, type[Pruner]] = {"halving": Halving, "asha": Asha}


def pruner(prune: Prune, trainer: Trainer, store: SweepStore) -> Pruner:
    """The pruner that a sweep's config asks for."""
    return _KINDS[prune.kind](prune, trainer, store)
