"""Laws that say a run's loss from its learning rates; each is one class in one file."""

from lrtool.theory.laws.base import Law, Units
from lrtool.theory.laws.momentum import Momentum
from lrtool.theory.laws.multi_power import MultiPower

#: The simplest first: of two that predict as well, it is taken.
LAWS: tuple[Law, ...] = (Momentum(), MultiPower())

__all__ = ["LAWS", "Law", "Momentum", "MultiPower", "Units"]
