"""A law's test on what was measured: the largest scale, predicted from the smaller ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.search.transfer.law import Expected, fit_law
from lrtool.analysis.search.transfer.optima import Optima

Array = NDArray[np.float64]

#: The part of the cells of the largest scale that their intervals have to hold.
_HELD = 2 / 3


@dataclass(frozen=True)
class SelfTest:
    """The cells with the outermost `value` of a key, left out: `predicted` and `measured` LR (cells,), and `held`.

    `held` (cells,): whether the 95% interval of the prediction holds what was measured, within its own error.
    """

    key: str
    value: float
    predicted: Array
    measured: Array
    held: NDArray[np.bool_]

    @property
    def passed(self) -> bool:
        """Whether the law predicts them."""
        return bool(self.held.mean() >= _HELD)

    @property
    def off(self) -> float:
        """The factor by which the prediction is off, in the middle of the cells; above 1 where it is too large."""
        return float(np.exp(np.median(np.log(self.predicted / self.measured))))


def self_test(
    keys: Sequence[str], key: str, optima: Optima, target: float, expected: Expected | None = None
) -> SelfTest:
    """Leave out the scale of a key that is nearest to the target, and predict its best LRs from the others."""
    column = optima.at[:, list(keys).index(key)]
    end = column.max() if np.log(target) > column.max() else column.min()
    out = np.abs(column - end) < 1e-5
    law = fit_law(keys, optima.at[~out], optima.x[~out], optima.error[~out], expected)
    predicted = [law.predict(logs) for logs in optima.at[out]]
    middle, half = np.array(predicted).T
    allowed = np.hypot(half, 2 * optima.error[out])
    held = np.abs(middle - optima.x[out]) <= allowed
    return SelfTest(key, float(np.exp(end)), np.exp(middle), np.exp(optima.x[out]), held)
