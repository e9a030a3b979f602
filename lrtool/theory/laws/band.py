"""Bands about predicted losses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrtool.theory.laws.choice import ChosenLaw
from lrtool.theory.loss_curve import Steps

Array = NDArray[np.float64]

#: What the band is to hold the truth with.
LEVEL = 0.9
#: How much the law's own error grows for each factor of e that a run goes beyond those fitted: in the LR that it uses
#: up, or in how low its LR falls; LRs below the second as a part of the peak count as that.
_BEYOND, _LEAST = 1.0, 0.03
#: A band (in log loss) that is as wide as this says nothing; wider numbers are none.
_ANYTHING = 300.0


@dataclass(frozen=True)
class LossBand:
    """A predicted curve: after `steps` updates the `loss`, between `low` and `high` in 90% of cases, all (n,).

    `beyond`: by which factor the run uses more LR than any that the law was fitted to (1: none).
    """

    steps: Steps
    loss: Array
    low: Array
    high: Array
    beyond: float


def banded(chosen: ChosenLaw, rates: Array, warmup: int, steps: Steps) -> LossBand:
    """The predicted loss after each of `steps` updates, and its 90% band.

    Its width adds up what the fit does not know of the parameters, how far runs lie apart as wholes, and how wrong the
    law was about runs left out; the last grows with how far the run goes beyond those fitted, in length or to lower
    LRs. Student's t, with as many degrees of freedom as there were runs, stands for how few those are.
    """
    from scipy.stats import t

    fit = chosen.fit
    loss, unsure = fit.predicted(rates, warmup, steps)
    used = np.concatenate([[0.0], np.cumsum(rates)])[steps]
    further = np.maximum(np.log(used / fit.used), 0.0)
    floor = _LEAST * float(rates.max())
    # The warm-up's low LRs are not what the loss there comes from.
    least = np.minimum.accumulate(np.concatenate([np.full(warmup, rates.max()), rates[warmup:]]).clip(min=floor))
    lower = np.log(max(fit.rates[0], floor) / least[np.maximum(steps, 1) - 1]).clip(min=0.0)
    own = [each.final for each in chosen.held_out if each.law == fit.law.name]
    wrong = float(np.sqrt(np.mean(np.square(own)))) if own else fit.apart
    spread = np.sqrt(unsure**2 + fit.apart**2 + (wrong * (1 + _BEYOND * (further + lower))) ** 2)
    width = np.minimum(float(t.ppf((1 + LEVEL) / 2, max(len(own), 2))) * spread, _ANYTHING)
    return LossBand(steps, loss, loss * np.exp(-width), loss * np.exp(width), float(np.exp(further.max(initial=0.0))))
