"""The search behind a transfer: with which LRs and seeds its smaller runs are trained, and what came of them.

Pure bookkeeping: it asks for trials and is told losses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from lrtool.analysis.search.transfer.design import LRS, Design, Values
from lrtool.analysis.search.transfer.law import Expected
from lrtool.analysis.search.transfer.points import FEWEST_LOSSES, Points

#: LRs of the first cell, the least costly one, this factor apart; then of every cell around where its best is expected.
_FIRST_LRS, _FIRST_RATIO = 5, 4.0
_RATIO = 2.0
#: How often the LRs of a cell may be continued beyond an end, by two LRs each time.
_MOVES, _MORE_LRS = 4, 2

#: Trials that are still to come: cells, and how many of each.
Ahead = Sequence[tuple[Values, int]]


class TransferSearch:
    """Asks for the LRs of one cell after the other, and is told their losses.

    `centre`: where the best LR of the first cell may lie; a wide grid there forgives much. `expected`: what is known of
    exponents.
    """

    def __init__(self, design: Design, centre: float, expected: Expected) -> None:
        self.design, self._centre, self._expected = design, centre, expected
        self._losses: dict[Values, dict[float, dict[int, float]]] = {}
        self._moves = 0

    def requests(self, affords: Callable[[Ahead], bool]) -> Iterator[tuple[Values, list[float], int]]:
        """Cells with the LRs to train there and in how many seeds; `tell` what came of each before the next.

        `affords`: whether so many trials can be paid for: what is beyond the plan, with all that is planned.
        """
        first, seeds = self.design.cells[0], self.design.seeds
        planned = [(cell, LRS * seeds) for cell in self.design.cells]
        wanted = self.wide()
        while wanted:
            yield first, wanted, 1
            wanted = self.beyond(first, _FIRST_RATIO) if affords([(first, _MORE_LRS), *planned]) else []
        for place, cell in enumerate(self.design.cells):
            wanted = self.grid(cell)
            while wanted:
                yield cell, wanted, seeds
                ahead = planned[place + 1 :]
                more = [n for n in range(_MORE_LRS, 0, -1) if affords([(cell, n * seeds), *ahead])]
                wanted = self.beyond(cell)[: more[0]] if more else []

    def wide(self) -> list[float]:
        """A wide grid for the first cell, of one seed."""
        self._moves = 0
        exponents = np.arange(_FIRST_LRS) - (_FIRST_LRS - 1) / 2
        return [float(lr) for lr in self._centre * _FIRST_RATIO**exponents]

    def grid(self, cell: Values) -> list[float]:
        """The LRs that a cell starts with, around where the cells before say that its best one is."""
        self._moves = 0
        middle = self._likely(cell)
        return [float(lr) for lr in middle * _RATIO ** (np.arange(LRS) - (LRS - 1) / 2)]

    def tell(self, cell: Values, lr: float, seed: int, loss: float) -> None:
        """The final loss of a training; NaN where it diverged."""
        self._losses.setdefault(cell, {}).setdefault(lr, {})[seed] = loss

    def beyond(self, cell: Values, ratio: float = _RATIO) -> list[float]:
        """Further LRs: where the best is at an end of those tried, or too few are finite; what diverged closes it."""
        if self._moves >= _MOVES:
            return []
        lrs, means = self._means(cell)
        self._moves += 1
        if not np.isfinite(means).any():
            return [lrs[0] / ratio ** (2 * k) for k in (1, 2)]
        best = int(np.nanargmin(means))
        if best == 0 or np.isfinite(means).sum() < FEWEST_LOSSES:
            return [lrs[0] / ratio**k for k in range(1, _MORE_LRS + 1)]
        return [lrs[-1] * ratio**k for k in range(1, _MORE_LRS + 1)] if best == len(lrs) - 1 else []

    def points(self) -> Points:
        """All that was measured of the cells; the wide grid's single seeds are left out where a cell has several."""
        rows = [(cell, lr, loss) for cell, lr, loss in self._rows()]
        return Points(
            self.design.keys,
            np.array([cell for cell, _, _ in rows], dtype=np.float64),
            np.array([lr for _, lr, _ in rows]),
            np.array([loss for _, _, loss in rows]),
        )

    def _rows(self) -> Iterator[tuple[Values, float, float]]:
        for cell, found in self._losses.items():
            most = max(len(losses) for losses in found.values())
            for lr, losses in sorted(found.items()):
                if len(losses) == most:
                    yield from ((cell, lr, loss) for _, loss in sorted(losses.items()))

    def _means(self, cell: Values) -> tuple[list[float], np.ndarray]:
        """The LRs of a cell that all its seeds were tried with, and their mean losses, NaN where one diverged."""
        found = self._losses[cell]
        most = max(len(losses) for losses in found.values())
        lrs = sorted(lr for lr, losses in found.items() if len(losses) == most)
        return lrs, np.array([np.mean(list(found[lr].values())) for lr in lrs])

    def _likely(self, cell: Values) -> float:
        """The best LR of the nearest cell so far, moved by the exponents that are usual."""
        done = [each for each in self._losses if np.isfinite(self._means(each)[1]).any()]
        if not done:
            return self._centre
        near = min(done, key=lambda each: sum(abs(math.log(a / b)) for a, b in zip(each, cell, strict=True)))
        lrs, means = self._means(near)
        moved = sum(
            self._expected.get(key, (0.0, 0.0))[0] * math.log(now / then)
            for key, now, then in zip(self.design.keys, cell, near, strict=True)
        )
        return float(lrs[int(np.nanargmin(means))] * math.exp(moved))
