"""The schedule with the lowest final loss that a law predicts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrtool.theory.laws.fit import Fit
from lrtool.theory.loss_curve import Changes

Array = NDArray[np.float64]

#: Pieces that a run is cut into, of one LR each, and the values between which straight lines run.
_PIECES, _KNOTS = 160, 33
#: Rounds of the search from each start, and starts that are followed.
_ROUNDS, _FOLLOWED = 80, 2


def best_rates(fit: Fit, steps: int, warmup: int, peak: float, also: Sequence[Array] = ()) -> Array:
    """The LRs of every update, (steps,), that make the predicted final loss lowest.

    After `warmup` updates (a straight line up to `peak`, as the runs had it) the LR first rises and then falls, between
    0 and `peak`: the rise may be none, or all. Laws are known for falling LRs; up and down as one likes, the best by
    them would be a spike at the end. `also`: schedules, (steps,) each, that it shall not be worse than.
    """
    from scipy.optimize import minimize

    search = _Search(fit, steps, min(warmup, steps - 1), peak)
    starts = sorted(search.starts(), key=search.final)[:_FOLLOWED]
    bounds = [(0.0, 1.0)] * len(starts[0])
    options = {"maxiter": _ROUNDS, "maxfun": _ROUNDS * len(bounds) * 2}
    found = [minimize(search.final, each, method="L-BFGS-B", bounds=bounds, options=options).x for each in starts]
    end = np.array([steps], dtype=np.int64)
    every = [*(search.rates(each, np.arange(steps)) for each in (*found, *starts)), *also]
    return min(every, key=lambda rates: float(fit.loss(rates, warmup, end)[0]) if rates.any() else np.inf)


class _Search:
    """Curves by the first rise and the falls, at knots: min(rise, fall), each a sum of steps that are at least 0."""

    def __init__(self, fit: Fit, steps: int, warmup: int, peak: float) -> None:
        self.fit, self.steps, self.warmup, self.peak = fit, steps, warmup, peak
        self.pieces = min(_PIECES, steps - warmup)
        self.knots = np.linspace(warmup, steps - 1, min(_KNOTS, self.pieces))
        # The warm-up is its sum of LRs; its pieces are as long as the others.
        self.per = (steps - warmup) / self.pieces
        self.lead = round(warmup / self.per)
        self.middle = warmup + self.per * (np.arange(self.pieces) + 0.5) - 0.5

    def rates(self, x: Array, at: ArrayLike) -> Array:
        """The LR of updates `at`."""
        at, count = np.asarray(at, dtype=np.float64), len(self.knots)
        rise = np.minimum(np.cumsum(x[:count]), 1.0)
        fall = np.maximum(1 - np.concatenate([[0.0], np.cumsum(x[count:])]), 0.0)
        ramp = self.peak * (at + 1) / max(self.warmup, 1)
        values = self.peak * np.interp(at, self.knots, np.minimum(rise, fall))
        return np.where(at < self.warmup, ramp, values)

    def final(self, x: Array) -> float:
        """The predicted loss at the end, on the pieces."""
        ramp = self.peak * (np.arange(self.lead) + 0.5) / max(self.lead, 1)
        rates = np.concatenate([ramp, self.rates(x, self.middle)])
        if not rates.any():
            return 1e9
        changes = Changes.of(rates, self.lead, np.array([len(rates)], dtype=np.int64), self.per)
        return float(self.fit.law.loss(self.fit.logs, changes, self.fit.scale)[0])

    def starts(self) -> list[Array]:
        """A constant LR, straight lines from several points on, and a ramp before one."""
        count = len(self.knots)
        found = []
        for first in (0.0, 0.5, 0.8, 0.9, 1.0):
            falling = (np.arange(1, count) / max(count - 1, 1) > first).astype(float)
            fall = falling / max(falling.sum(), 1) * (0.95 if falling.any() else 0)
            found.append(np.concatenate([[1.0], np.zeros(count - 1), fall]))
        ramp = np.zeros(count)
        ramp[: max(count // 5, 1)] = 1 / max(count // 5, 1)
        return [*found, np.concatenate([ramp, found[1][count:]])]
