"""The search for the best peak LR: rungs of ever longer trainings on ever narrower grids of LRs.

Pure bookkeeping: which LRs and seeds to train for how long, given what they cost and what came out so far.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.lr_fit import Response, fit_response

Array = NDArray[np.float64]

#: LRs of the first grid: from this part of the centre to this multiple of it, a factor of 2 apart.
_BELOW, _ABOVE = 1 / 16, 16.0
_FIRST_RATIO = 2.0
#: The last grid: LRs this factor apart, this many at most.
_LAST_RATIO = 1.5
_LAST_LRS = 7
_MIDDLE_LRS = 6
#: A minimum has an LR on either side; with fewer there is nothing to fit.
LEAST_LRS = 3
MAX_SEEDS = 8
#: Budgets, in training runs, from which the last rung is of full length, and from which a wider one precedes it.
_FULL, _RICH = 8, 40
#: The first rung's part of the run, and its share of a budget that is poor.
SHORTEST, SHORTEST_SHARE = 1 / 8, 0.4
#: Losses of shortened trainings that differ by less than this part say nothing about the LR: all may still lie
#: on the plateau where training starts.
_ALIKE = 0.02
#: LRs of the first grid where the best one is foretold: by the bound it was within a factor of 2.7 (21 of 21 tasks
#: under cosine and constant schedules), and the grid moves if it is not.
FORETOLD_LRS = 5
#: How often a grid whose best LR is at its end may be continued beyond it.
_MOVES = 4


@dataclass(frozen=True)
class Rung:
    """Trainings of `fraction` of the run, on at most `lrs` LRs, with `seeds` seeds each."""

    fraction: float
    lrs: int
    seeds: int
    ratio: float


def plan(runs: float, cost: Callable[[float], float] = float) -> list[Rung]:
    """Rungs that cost at most about `runs` trainings of full length; empty where that is too few to tell.

    `cost`: what a trial of a fraction of the run costs, in runs.

    Most goes to the last rung, whose trainings are the real thing. A rich budget precedes it by a wider rung of
    full length, for tasks that show nothing in shorter trainings. Where it cannot hold three full runs the last
    rung is half as long.
    """
    first_lrs = round(math.log(_ABOVE / _BELOW, _FIRST_RATIO)) + 1
    wide, middle, last = (first_lrs, _FIRST_RATIO), (_MIDDLE_LRS, _FIRST_RATIO), (_LAST_LRS, _LAST_RATIO)
    stages: tuple[tuple[float, float, tuple[int, float]], ...]
    if runs >= _RICH:
        stages = ((1 / 8, 0.12, wide), (1 / 3, 0.13, middle), (1.0, 0.25, middle), (1.0, 0.5, last))
    elif runs >= _FULL:
        stages = ((1 / 8, 0.15, wide), (1 / 3, 0.2, middle), (1.0, 0.65, last))
    else:
        stages = ((SHORTEST, SHORTEST_SHARE, wide), (1 / 2, 0.6, last))
    rungs: list[Rung] = []
    for fraction, share, (limit, ratio) in stages:
        trials = int(runs * share / cost(fraction) + 1e-9)
        lrs = min(limit, trials)
        if lrs < LEAST_LRS:
            break
        if not rungs:
            # The first grid spans the same range however few its LRs are.
            ratio = (_ABOVE / _BELOW) ** (1 / (lrs - 1))
        rungs.append(Rung(fraction, lrs, min(MAX_SEEDS, trials // lrs), ratio))
    return rungs


def least_runs(cost: Callable[[float], float]) -> float:
    """The least budget, in training runs, that holds a comparison of LRs; `cost` as that of `plan`."""
    return max(2.0, LEAST_LRS * cost(SHORTEST) / SHORTEST_SHARE)


class Search:
    """One schedule's search: asks for LRs, is told losses, and narrows the grid.

    `centre` is where the best LR is expected (a range test's suggestion). `most`: above it the first grid has no LRs,
    unless it would have fewer than tell anything; a later one goes there if the best is at the end. `exponent`: what is
    expected of the best LR over the length of training: a longer rung begins around what that makes of a shorter one.
    """

    def __init__(self, centre: float, most: float | None = None, exponent: float = 0.0) -> None:
        self._centre, self._most, self._foretold, self._exponent = centre, most, False, exponent
        self._moves = 0
        self._matters = False
        self._range = (centre, centre)
        self._asked: set[float] = set()
        self.losses: dict[tuple[float, float], dict[int, float]] = {}
        self._fraction = 0.0

    def expect(self, lr: float) -> None:
        """Begin around this LR, with fewer LRs: it is foretold."""
        self._centre, self._range, self._foretold = lr, (lr, lr), True

    def grid(self, rung: Rung) -> list[float]:
        """The LRs that a rung starts with: around the best so far, and over all that may be as good."""
        longer = (rung.fraction / self._fraction) ** self._exponent if self.losses else 1.0
        self._fraction, self._moves = rung.fraction, 0
        low, high = (longer * each for each in self._range)
        centre, ratio, lrs = longer * self._centre, rung.ratio, rung.lrs
        if self._foretold and not self.losses:
            lrs, ratio = min(lrs, FORETOLD_LRS), min(ratio, _FIRST_RATIO)
        if high / low > ratio ** (lrs - 1):
            centre, ratio = math.sqrt(low * high), (high / low) ** (1 / (lrs - 1))
        exponents = np.arange(lrs) - (lrs - 1) / 2
        grid = sorted({float(lr) for lr in centre * ratio**exponents})
        if self._most is not None and not self.losses:
            below = sum(lr <= self._most for lr in grid)
            grid = grid[: max(below, LEAST_LRS)]
        self._asked = set(grid)
        return grid

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
        means = _means(losses)
        best = int(np.argmin(means)) if np.isfinite(means).any() else int(finite.sum(axis=1).argmax())
        if rung.fraction < 1 and _plateau(means, best):
            return []
        if best == 0:
            return self._moved([lrs[0] / rung.ratio, lrs[0] / rung.ratio**2])
        if best == len(lrs) - 1:
            return self._moved([lrs[-1] * rung.ratio, lrs[-1] * rung.ratio**2])
        return []

    def between(self) -> list[float]:
        """LRs in the middle of the two gaps on either side of the best one: the grid is twice as dense there."""
        lrs, losses = self.table()
        finite = np.isfinite(losses)
        if not finite.any():
            return []
        best = int(np.argmin(_means(losses)))
        near = lrs[max(0, best - 2) : best + 3]
        middles = [float(lr) for lr in np.sqrt(near[1:] * near[:-1])]
        self._asked |= set(middles)
        return middles

    def narrow(self) -> Response:
        """Fit this rung's losses; the next rung's grid lies around the best LR."""
        lrs, losses = self.table()
        response = fit_response(lrs, losses, self._matters)
        self._matters |= response.lr is not None
        if np.isfinite(response.fit).any():
            # Where to look next is the expected loss's minimum, also where noise allows no answer yet.
            self._centre = float(response.grid[np.nanargmin(response.fit)])
            self._range = self._alike(response)
        return response

    def table(self) -> tuple[Array, Array]:
        """LRs (n,), ascending, and losses (n, seeds) of this rung, NaN where diverged."""
        rows = sorted(
            (lr, self.losses[self._fraction, lr]) for lr in self._asked if (self._fraction, lr) in self.losses
        )
        seeds = sorted({seed for _, by_seed in rows for seed in by_seed})
        losses = np.array([[by_seed.get(seed, np.nan) for seed in seeds] for _, by_seed in rows])
        return np.array([lr for lr, _ in rows]), losses

    def _alike(self, response: Response) -> tuple[float, float]:
        """The LRs around the best whose loss is too near to the best's to exclude them, as far as they were tried."""
        fit, best = response.fit, int(np.nanargmin(response.fit))
        if self._fraction == 1 or not (fit > 0).all():
            return self._centre, self._centre
        far = np.flatnonzero(fit > (1 + _ALIKE) * fit[best])
        low = far[far < best].max(initial=-1) + 1
        high = far[far > best].min(initial=len(fit)) - 1
        return float(response.grid[low]), float(response.grid[high])

    def _moved(self, lrs: list[float]) -> list[float]:
        self._moves += 1
        self._asked |= {float(lr) for lr in lrs}
        return sorted(float(lr) for lr in lrs)


def _means(losses: Array) -> Array:
    """(n,): mean loss over the seeds, infinite where one diverged; not counting those that do so at every LR."""
    trained = losses[:, np.isfinite(losses).any(axis=0)]
    return np.where(np.isfinite(trained).all(axis=1), trained.mean(axis=1), np.inf)


def _plateau(means: Array, best: int) -> bool:
    """Whether the LR next to the best one at an end is as good: going on is then no improvement."""
    beside = means[1] if best == 0 else means[best - 1]
    return bool(means[best] > 0 and beside <= (1 + _ALIKE) * means[best])
