"""Optimizers: one file each, as a torch optimizer and as a pure update for stacked trials."""

from lrtool.optimizers.base import Optimizer
from lrtool.optimizers.parts.groups import ParamGroup
from lrtool.registry import Registry

KINDS: Registry[Optimizer] = Registry(Optimizer, __name__, "optimizer")

__all__ = ["KINDS", "Optimizer", "ParamGroup"]
