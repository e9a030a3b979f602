"""How much more has to be spent until a transfer that found no answer is expected to find one."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from lrtool.analysis.search.transfer.design import Design, unknown
from lrtool.analysis.search.transfer.extrapolate import Transferred, useful, widened
from lrtool.analysis.search.transfer.risk import LeastRisk

#: Budgets that are looked at lie this factor apart.
_APART = math.sqrt(2)
#: An interval that is this much wider than expected has to be of use still, or every second promise would be broken.
_ROOM = math.sqrt(2)

#: The design that a budget buys, if any; and how often its longest runs and the target pass over their data.
Buys = Callable[[float], Design | None]
Passes = Callable[[Design], tuple[float, float]]


def enough(found: Transferred, buys: Buys, passes: Passes, spent: float, most: float) -> float | None:
    """The least budget beyond `spent`, in target runs, with which an answer is expected.

    Infinite where none up to `most` is; None where the refused transfer has no law to go by. A design is expected to
    leave an interval as wide as it plans to, in the proportion in which that of the design carried out came out, around
    a basin as it was measured.
    """
    bought = buys(spent)
    if found.law is None or found.optima is None or found.guess is None or bought is None:
        return None
    logs = np.log([found.target[key] for key in found.keys])
    half = found.law.predict(logs)[1] / _planned(found, bought)
    for budget in np.append(np.arange(math.log(spent), math.log(most), math.log(_APART))[1:], math.log(most)):
        larger = buys(math.exp(budget)) if most > spent else None
        if larger is None:
            continue
        wide = _ROOM * widened(half * _planned(found, larger), passes(larger))
        if useful(wide, LeastRisk.of(found.optima, logs, wide, found.points.scale.logarithmic).risk):
            return math.exp(budget)
    return math.inf


def _planned(found: Transferred, design: Design) -> float:
    """The standard deviation of the log LR at the target that a design plans to leave."""
    return math.sqrt(unknown(design, found.target, found.expected))
