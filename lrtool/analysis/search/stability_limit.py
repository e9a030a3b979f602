"""The largest LR that trains without breaking down, bracketed by short trainings at constant LRs.

Pure bookkeeping: which LRs to try next, given how the trainings before went.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.divergence import first_divergence
from lrtool.analysis.range_test_result import LrEstimate

Array = NDArray[np.float64]

#: LRs of the first grid: this many steps of `RATIO` below and above the start.
REACH, RATIO = 3, 2.0
#: How often the grid may be continued beyond an end, by `REACH` LRs each time.
_MOVES = 3
#: Losses that show where a training starts, and the part of it that shows where it ends.
_FIRST, _LAST = 8, 0.1
#: Standard errors by which a training must end below its start to have learned, and by which one may end above.
_NOISE = 2.0


def rise(losses: Array, steps: int, start: Array) -> float:
    """By how many standard errors of the start a training's last losses lie above it; infinite if it diverged.

    `losses`: of its updates, fewer than `steps` where it was stopped. `start`: losses of the same seed before anything
    was learned, NaN where unknown.
    """
    if len(losses) < steps or not np.isfinite(losses).all() or first_divergence(losses) is not None:
        return math.inf
    known = start[np.isfinite(start)]
    error = max(float(known.std()) / math.sqrt(len(known)), float(np.finfo(np.float64).tiny))
    return float(losses[-max(1, round(_LAST * steps)) :].mean() - known.mean()) / error


def starting_losses(losses: Array) -> Array:
    """The part of a training's losses that shows where it starts."""
    return losses[:_FIRST]


class LimitSearch:
    """Brackets the limit around `start`: a grid of factors of 2, continued where it lies outside, then halved once.

    A training breaks down if it ends above its start. One that ends there by no more than noise broke down if a
    smaller LR learned, as does a network that large updates left constant; else it has just not begun to learn.
    """

    def __init__(self, start: float) -> None:
        self._rises: dict[float, dict[int, float]] = {}
        self._grid = [float(start * RATIO**k) for k in range(-REACH, REACH + 1)]
        self._moves, self._halved = 0, False

    def tell(self, lr: float, seed: int, rise: float) -> None:
        """How far above its start the training with this LR and seed ended (`rise`)."""
        self._rises.setdefault(lr, {})[seed] = rise

    def wanted(self) -> list[float]:
        """LRs to try next, ascending; none when the limit is bracketed or out of reach."""
        if not self._rises:
            return self._grid
        brackets = self._brackets()
        lows, highs = [low for low, _ in brackets], [high for _, high in brackets]
        if self._moves < _MOVES and sum(low == 0 for low in lows) >= len(lows) / 2:
            return self._continued(min(self._grid) / RATIO**REACH)
        if self._moves < _MOVES and sum(math.isinf(high) for high in highs) > len(highs) / 2:
            return self._continued(max(self._grid) * RATIO)
        if self._halved:
            return []
        self._halved = True
        middles = sorted({math.sqrt(low * high) for low, high in brackets if low > 0 and math.isfinite(high)})
        self._grid = sorted([*self._grid, *middles])
        return middles

    def estimate(self) -> LrEstimate | None:
        """The median over seeds of each one's bracket, and the LRs between which all seeds' limits lie.

        None where for most seeds no LR that was tried trains, or for half of them: the interval's low end is 0 where
        that is so for some. Where none breaks down, the largest tried and infinity.
        """
        brackets = self._brackets()
        middles = sorted(_middle(*bracket) for bracket in brackets)
        lower, upper = middles[(len(middles) - 1) // 2], middles[len(middles) // 2]
        if lower == 0:
            return None
        low, high = min(low for low, _ in brackets), max(high for _, high in brackets)
        return LrEstimate.around(math.sqrt(lower * upper), low, high)

    def _continued(self, lowest: float) -> list[float]:
        self._moves += 1
        more = [float(lowest * RATIO**k) for k in range(REACH)]
        self._grid = sorted([*self._grid, *more])
        return more

    def _brackets(self) -> list[tuple[float, float]]:
        """Per seed the largest LR up to which all train, 0 if none, and the smallest that breaks down."""
        lrs = [lr for lr in self._grid if lr in self._rises]
        found = []
        for seed in sorted({seed for each in self._rises.values() for seed in each}):
            tried = [lr for lr in lrs if seed in self._rises[lr]]
            first = _first_broken([self._rises[lr][seed] for lr in tried])
            found.append((tried[first - 1] if first else 0.0, tried[first] if first < len(tried) else math.inf))
        return found


def _first_broken(rises: Sequence[float]) -> int:
    """The first training, by ascending LR, that broke down; their number if none did."""
    allowed = _NOISE
    for number, rise in enumerate(rises):
        if rise > allowed:
            return number
        if rise < -_NOISE:
            allowed = 0.0
    return len(rises)


def _middle(low: float, high: float) -> float:
    return low if math.isinf(high) else math.sqrt(low * high)
