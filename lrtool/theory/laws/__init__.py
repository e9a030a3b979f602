"""Laws that say a run's loss from its learning rates; each is one class in one file."""

from lrtool.theory.laws.base import LossLaw, Units
from lrtool.theory.laws.momentum import Momentum
from lrtool.theory.laws.multi_power import MultiPower

#: The simplest first: of two that predict as well, it is taken.
LAWS: tuple[LossLaw, ...] = (Momentum(), MultiPower())

__all__ = ["LAWS", "LossLaw", "Momentum", "MultiPower", "Units"]
