"""The search for the best peak LR: rungs of ever longer trainings on ever narrower grids of LRs.

Pure bookkeeping: which LRs and seeds to train for how long, given what they cost and what came out so far.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.response import Response, fit_response

Array = NDArray[np.float64]

#: LRs of the first grid: from this part of the centre to this multiple of it, a factor of 2 apart.
_BELOW, _ABOVE = 1 / 16, 16.0
_FIRST_RATIO = 2.0
#: The last grid: LRs this factor apart, this many at most.
_LAST_RATIO = 1.5
_LAST_LRS = 7
_MIDDLE_LRS = 6
#: A parabola needs three LRs; with fewer there is nothing to fit.
LEAST_LRS = 3
MAX_SEEDS = 8
#: How often a grid whose best LR is at its end may be continued beyond it.
_MOVES = 4


@dataclass(frozen=True)
class Rung:
    """Trainings of `fraction` of the run, on at most `lrs` LRs, with `seeds` seeds each."""

    fraction: float
    lrs: int
    seeds: int
    ratio: float

    @property
    def cost(self) -> float:
        """In whole training runs."""
        return self.fraction * self.lrs * self.seeds


def plan(runs: float) -> list[Rung]:
    """Rungs that cost at most about `runs` trainings of full length; empty where that is too few to tell.

    Most goes to the last rung, whose trainings are the real thing. Where it cannot hold three full runs
    the last rung is half as long.
    """
    first_lrs = round(math.log(_ABOVE / _BELOW, _FIRST_RATIO)) + 1
    full = runs >= 8
    shares = ((1 / 8, 0.15), (1 / 3, 0.2), (1.0, 0.65)) if full else ((1 / 8, 0.4), (1 / 2, 0.6))
    limits = (first_lrs, _MIDDLE_LRS, _LAST_LRS) if full else (first_lrs, _LAST_LRS)
    ratios = (_FIRST_RATIO, _FIRST_RATIO, _LAST_RATIO) if full else (_FIRST_RATIO, _LAST_RATIO)
    rungs: list[Rung] = []
    for (fraction, share), limit, ratio in zip(shares, limits, ratios, strict=True):
        trials = int(runs * share / fraction)
        lrs = min(limit, trials)
        if lrs < LEAST_LRS:
            break
        if not rungs:
            # The first grid spans the same range however few its LRs are.
            ratio = (_ABOVE / _BELOW) ** (1 / (lrs - 1))
        rungs.append(Rung(fraction, lrs, min(MAX_SEEDS, trials // lrs), ratio))
    return rungs


class Search:
    """One schedule's search: asks for LRs, is told losses, and narrows the grid.

    `centre` is where the best LR is expected (a range test's suggestion).
    """

    def __init__(self, centre: float) -> None:
        self._centre = centre
        self._moves = 0
        self.losses: dict[tuple[float, float], dict[int, float]] = {}
        self._fraction = 0.0

    def grid(self, rung: Rung) -> list[float]:
        """The LRs that a rung starts with: around the best so far, or around the centre."""
        self._fraction, self._moves = rung.fraction, 0
        span = (rung.lrs - 1) / 2
        exponents = np.arange(rung.lrs) - span
        return [float(lr) for lr in self._centre * rung.ratio**exponents]

    def tell(self, lr: float, seed: int, loss: float) -> None:
        """The final loss of a training of the current rung; NaN where it diverged."""
        self.losses.setdefault((self._fraction, lr), {})[seed] = loss

    def beyond(self, rung: Rung) -> list[float]:
        """Further LRs where the best one is at the end of those tried: the grid moves, it does not clip."""
        if self._moves >= _MOVES:
            return []
        lrs, losses = self.table()
        finite = np.isfinite(losses)
        if not finite.any():
            return self._moved([lrs[0] / rung.ratio ** (2 * k) for k in (1, 2, 3)])
        means = np.where(finite.all(axis=1), losses.mean(axis=1), np.inf)
        best = int(np.argmin(means)) if np.isfinite(means).any() else int(finite.sum(axis=1).argmax())
        if best == 0:
            return self._moved([lrs[0] / rung.ratio, lrs[0] / rung.ratio**2])
        if best == len(lrs) - 1:
            return self._moved([lrs[-1] * rung.ratio, lrs[-1] * rung.ratio**2])
        return []

    def narrow(self) -> Response:
        """Fit this rung's losses; the next rung's grid lies around the best LR."""
        response = fit_response(*self.table())
        if np.isfinite(response.fit).any():
            # Where to look next is the fit's own minimum, also where noise allows no answer yet.
            self._centre = float(response.grid[np.nanargmin(response.fit)])
        return response

    def table(self, fraction: float | None = None) -> tuple[Array, Array]:
        """LRs (n,), ascending, and losses (n, seeds) of a rung (this one), NaN where diverged."""
        wanted = self._fraction if fraction is None else fraction
        rows = sorted((lr, by_seed) for (at, lr), by_seed in self.losses.items() if at == wanted)
        seeds = sorted({seed for _, by_seed in rows for seed in by_seed})
        losses = np.array([[by_seed.get(seed, np.nan) for seed in seeds] for _, by_seed in rows])
        return np.array([lr for lr, _ in rows]), losses

    def _moved(self, lrs: list[float]) -> list[float]:
        self._moves += 1
        return sorted(float(lr) for lr in lrs)
