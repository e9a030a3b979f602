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
#: By how much a parameter is moved for a derivative.
_STEP = 1e-6
#: Rounds of the search from each start, and starts that are followed.
_ROUNDS, _FOLLOWED = 300, 3


def best_rates(fit: Fit, steps: int, warmup: int, peak: float, also: Sequence[Array] = ()) -> Array:
    """The LRs of every update, (steps,), that make the predicted final loss lowest.

    After `warmup` updates (a straight line up to `peak`, as the runs had it) the LR first rises and then falls, between
    0 and `peak`: the rise may be none, or all. Laws are known for falling LRs; up and down as one likes, the best by
    them would be a spike at the end. `also`: schedules, (steps,) each, that it shall not be worse than.
    """
    from scipy.optimize import minimize

    search = _Search(fit, steps, min(warmup, steps - 1), peak)
    starts = sorted(search.starts(), key=lambda x: float(search.final(x[None, :])[0]))[:_FOLLOWED]
    bounds = [(0.0, 1.0)] * len(starts[0])
    found = [
        minimize(search.slope, each, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _ROUNDS}).x
        for each in starts
    ]
    end = np.array([steps], dtype=np.int64)
    every = [*(search.rates(each, np.arange(steps)) for each in (*found, *starts)), *also]
    return min(every, key=lambda rates: float(fit.loss(rates, warmup, end)[0]) if rates.any() else np.inf)


class _Search:
    """Curves by the first rise and the falls, at knots: min(rise, fall), each a sum of steps that are at least 0."""

    def __init__(self, fit: Fit, steps: int, warmup: int, peak: float) -> None:
        self.fit, self.steps, self.warmup, self.peak = fit, steps, warmup, peak
        self.pieces = min(_PIECES, steps - warmup)
        self.knots = np.linspace(warmup, steps - 1, min(_KNOTS, self.pieces))
        self.per = (steps - warmup) / self.pieces
        self.middle = warmup + self.per * (np.arange(self.pieces) + 0.5) - 0.5

    def rates(self, x: Array, at: ArrayLike) -> Array:
        """The LR of updates `at`; of several curves x (n, parameters), (n, updates)."""
        at, count = np.asarray(at, dtype=np.float64), len(self.knots)
        rise = np.minimum(np.cumsum(x[..., :count], axis=-1), 1.0)
        fallen = np.cumsum(x[..., count:], axis=-1)
        fall = np.maximum(1 - np.concatenate([np.zeros_like(rise[..., :1]), fallen], axis=-1), 0.0)
        low = np.minimum(rise, fall)
        # Straight lines between knots, of all curves at once.
        right = np.clip(np.searchsorted(self.knots, at), 1, max(count - 1, 1)).clip(max=count - 1)
        left = np.maximum(right - 1, 0)
        width = np.maximum(self.knots[right] - self.knots[left], 1e-9)
        part = np.clip((at - self.knots[left]) / width, 0.0, 1.0)
        values = self.peak * (low[..., left] * (1 - part) + low[..., right] * part)
        return np.where(at < self.warmup, self.peak * (at + 1) / max(self.warmup, 1), values)

    def final(self, x: Array) -> Array:
        """The predicted losses at the ends of curves (n, parameters), as pieces of one LR each."""
        rates = self.rates(x, self.middle)
        before = np.concatenate([np.full_like(rates[:, :1], self.peak) if self.warmup else rates[:, :1], rates[:, :-1]],
                                axis=1)  # fmt: skip
        since = self.per * np.cumsum(rates[:, ::-1], axis=1)[:, ::-1]
        used = since[:, 0] + self.peak * (self.warmup + 1) / 2 * bool(self.warmup)
        updates = self.per * np.arange(self.pieces, 0, -1.0)[None, :]
        changes = Changes(np.maximum(used, 1e-12 * self.peak), before - rates, rates, since, updates)
        return self.fit.law.loss(self.fit.logs, changes, self.fit.scale)

    def slope(self, x: Array) -> tuple[float, Array]:
        """The final loss of one curve, and its derivatives."""
        # Inwards, so that no parameter leaves 0 … 1.
        step = np.where(x > 0.5, -_STEP, _STEP)
        values = self.final(np.concatenate([x[None, :], x[None, :] + np.diag(step)]))
        return float(values[0]), (values[1:] - values[0]) / step

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
