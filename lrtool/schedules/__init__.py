"""Schedules: pure specifications of how a learning rate moves over a run.

`KINDS` lists them; each is one class in one file of this package.
"""

from lrtool.registry import Registry
from lrtool.schedules.base import Curve, Schedule

KINDS: Registry[Schedule] = Registry(Schedule, __name__, "schedule")

__all__ = ["KINDS", "Curve", "Schedule"]
