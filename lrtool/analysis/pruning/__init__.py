"""Pruners, one a file, by name: which variants of a sweep are worth training on."""

from __future__ import annotations

from lrtool.analysis.pruning.base import Losses, Pruner, Rivals
from lrtool.registry import Registry

__all__ = ["PRUNERS", "Losses", "Pruner", "Rivals"]

#: Every pruner by its kind.
PRUNERS: Registry[Pruner] = Registry(Pruner, __name__, "pruner")
