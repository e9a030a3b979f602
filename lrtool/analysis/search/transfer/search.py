"""The search behind a transfer: which smaller runs to train, with which LRs and seeds, and what came of them.

Pure bookkeeping: it asks for trials and is told losses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lrtool.analysis.search.transfer.law import Expected
from lrtool.analysis.search.transfer.points import Points

#: The duration, in updates: whatever else moves, runs are shorter than the target's.
DURATION = "train.duration"
#: Values of every other key, as parts of the target's, and of the duration, as parts of the longest run's.
PARTS = (1 / 16, 1 / 8, 1 / 4)
_LENGTHS = ((1.0, 1 / 2, 1 / 4, 1 / 8), (1.0, 1 / 2, 1 / 4), (1.0, 1 / 4, 1 / 16))
#: The longest run, as a part of the target's updates; where other keys make runs cheap, they may be as long as it.
_WHOLE = (1.0, 1 / 2)
_LONGEST = (1 / 4, 1 / 6, 1 / 8, 1 / 12, 1 / 16, 1 / 24, 1 / 32, 1 / 48, 1 / 64, 1 / 96, 1 / 128, 1 / 192, 1 / 256)
#: Fewer updates show nothing.
_SHORTEST = 20
_SEEDS = (3, 2, 1)
#: LRs of the first cell, the least costly one, this factor apart; then of every cell around where its best is expected.
_FIRST_LRS, _FIRST_RATIO = 9, 4.0
LRS, _RATIO = 4, 2.0
#: How often the LRs of a cell may be continued beyond an end, by two LRs each time.
_MOVES = 4
#: What continuing is expected to add to the cost.
_MORE = 1.3

#: Exponents of the best LR that are usual: mean and standard deviation. Duration: Bjorck et al. 2024
#: (arXiv:2409.19913); batch size: between not at all and in proportion, for optimizers that divide by the gradient's
#: size about the root (Malladi et al. 2022, arXiv:2205.10287). All held against tasks of lrtool's own.
_DURATION, _BATCH, _BATCH_ADAPTIVE = (-0.25, 0.25), (0.4, 0.3), (0.3, 0.3)
#: Of a key of the model. Of Adam's best LR over the width, in inverse proportion at most (Yang et al. 2022,
#: arXiv:2203.03466); gradient descent's hardly moves.
_MODEL, _MODEL_ADAPTIVE = (-0.1, 0.3), (-0.5, 0.3)

#: What a design is judged by, in log LR: the error of a cell of one seed, what short runs add to it, the scatter of
#: best LRs about a law, and what exponents may change by per distance beyond the measured range.
_ERROR, _HASTE, _SCATTER, _DRIFT = 0.25, 0.5, 0.12, 0.1

Values = tuple[float, ...]


def usual(keys: Sequence[str], adaptive: bool = True) -> Expected:
    """What is known beforehand of the exponents of these keys; nothing of others.

    `adaptive`: whether the optimizer divides by the size of the gradient, as Adam does.
    """
    known = {key: _MODEL_ADAPTIVE if adaptive else _MODEL for key in keys if key.startswith("model.")}
    usual = {DURATION: _DURATION, "data.batch_size": _BATCH_ADAPTIVE if adaptive else _BATCH}
    return {**known, **{key: usual[key] for key in keys if key in usual}}


@dataclass(frozen=True)
class Design:
    """The cells to train, from the least costly to the most costly, each as the values of `keys`; `seeds` in each.

    `updates`: of the target. `cost`: of all that is planned, in target runs.
    """

    keys: tuple[str, ...]
    cells: tuple[Values, ...]
    seeds: int
    updates: int
    cost: float

    def steps(self, cell: Values) -> int:
        """Updates of a cell's runs."""
        return round(cell[self.keys.index(DURATION)])


def plan(
    levels: Mapping[str, Sequence[float]],
    updates: int,
    runs: float,
    cost: Callable[[Mapping[str, float]], float],
    target: Mapping[str, float],
    longer: bool = True,
) -> Design | None:
    """The design within the budget that says most of the target; None where it holds none with runs long enough.

    `levels`: ascending values of every key but the duration. Several lengths are crossed with the least of these; then
    one key at a time moves, at one of the lengths: cells are shared by all keys' exponents. Where the target is not
    `longer` than what is usual and the budget allows it, all runs have its length. `cost`: of a run with these values,
    in target runs. `target`: its values of all keys.
    """
    found: list[tuple[float, Design]] = []
    for lengths in _lengths(updates, bool(levels), longer):
        for shared in range(len(lengths) if levels else 1):
            cells = _cells(levels, lengths, shared)
            costs = [cost(cell) for cell in cells]
            order = np.argsort(costs, kind="stable")
            keys = (DURATION, *levels)
            ordered = tuple(tuple(cells[place][key] for key in keys) for place in order)
            for seeds in _SEEDS:
                # The first cell's wide grid has one seed.
                takes = _MORE * seeds * LRS * sum(costs) + _FIRST_LRS * min(costs)
                if takes <= runs:
                    design = Design(keys, ordered, seeds, updates, takes)
                    found.append((_unknown(design, target), design))
    return min(found, key=lambda each: each[0])[1] if found else None


def _unknown(design: Design, target: Mapping[str, float]) -> float:
    """The variance of the log LR at the target that a design is expected to leave.

    Each cell has an error of its own, and beyond the measured range exponents may change with the distance.
    """
    at, goal = np.log(design.cells), np.log([target[key] for key in design.keys])
    moving = np.ptp(at, axis=0) > 0
    rows, row = np.c_[np.ones(len(at)), at - at.mean(axis=0)], np.r_[1.0, goal - at.mean(axis=0)]
    expected = usual(design.keys)
    precision = np.r_[0.0, [1 / expected.get(key, (0.0, 1.0))[1] ** 2 for key in design.keys]]
    short = np.array([_HASTE * _SHORTEST / design.steps(cell) for cell in design.cells])
    error = _ERROR**2 / design.seeds + short**2 + _SCATTER**2
    information = rows.T @ (rows / error[:, None]) + np.diag(precision)
    beyond = np.where(moving, np.maximum(0, np.maximum(goal - at.max(axis=0), at.min(axis=0) - goal)), 0.0)
    return float(row @ np.linalg.pinv(information) @ row + np.square(_DRIFT * beyond).sum())


def _lengths(updates: int, others: bool, longer: bool) -> Iterator[list[float]]:
    """Sets of lengths."""
    if others and not longer:
        yield [float(updates)]
    for longest in (*(_WHOLE if others else ()), *_LONGEST):
        for parts in _LENGTHS:
            if parts[-1] * longest * updates >= _SHORTEST:
                yield [length * longest * updates for length in parts]


def _cells(levels: Mapping[str, Sequence[float]], lengths: Sequence[float], shared: int) -> list[dict[str, float]]:
    """Every length with the least of the other keys; their larger values at the length of the place `shared`."""
    least = {key: values[0] for key, values in levels.items()}
    cells = [{DURATION: float(round(length)), **least} for length in lengths]
    at = float(round(lengths[shared]))
    cells += [{DURATION: at, **least, key: value} for key, values in levels.items() for value in values[1:]]
    return cells


class TransferSearch:
    """Asks for the LRs of one cell after the other, and is told their losses.

    `centre`: where the best LR of the first cell may lie; a wide grid there forgives much.
    """

    def __init__(self, design: Design, centre: float, adaptive: bool = True) -> None:
        self.design, self._centre, self._usual = design, centre, usual(design.keys, adaptive)
        self._losses: dict[Values, dict[float, dict[int, float]]] = {}
        self._moves = 0

    def requests(self, affords: Callable[[], bool]) -> Iterator[tuple[Values, list[float], int]]:
        """Cells with the LRs to train there and in how many seeds; `tell` what came of each before the next.

        `affords`: whether what is beyond the plan can be paid for.
        """
        yield self.design.cells[0], self.wide(), 1
        for cell in self.design.cells:
            wanted = self.grid(cell)
            while wanted:
                yield cell, wanted, self.design.seeds
                wanted = self.beyond(cell) if affords() else []

    def wide(self) -> list[float]:
        """A wide grid for the first cell, of one seed."""
        exponents = np.arange(_FIRST_LRS) - (_FIRST_LRS - 1) / 2
        return [float(lr) for lr in self._centre * _FIRST_RATIO**exponents]

    def grid(self, cell: Values) -> list[float]:
        """The LRs that a cell starts with, around where the cells before say that its best one is."""
        self._moves = 0
        middle = self._expected(cell)
        return [float(lr) for lr in middle * _RATIO ** (np.arange(LRS) - (LRS - 1) / 2)]

    def tell(self, cell: Values, lr: float, seed: int, loss: float) -> None:
        """The final loss of a training; NaN where it diverged."""
        self._losses.setdefault(cell, {}).setdefault(lr, {})[seed] = loss

    def beyond(self, cell: Values) -> list[float]:
        """Further LRs where the best one is at an end of those tried; a diverged one closes an end."""
        if self._moves >= _MOVES:
            return []
        lrs, means = self._means(cell)
        self._moves += 1
        if not np.isfinite(means).any():
            return [lrs[0] / _RATIO ** (2 * k) for k in (1, 2)]
        best = int(np.nanargmin(means))
        if best == 0:
            return [lrs[0] / _RATIO, lrs[0] / _RATIO**2]
        return [lrs[-1] * _RATIO, lrs[-1] * _RATIO**2] if best == len(lrs) - 1 else []

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

    def _expected(self, cell: Values) -> float:
        """The best LR of the nearest cell so far, moved by the exponents that are usual."""
        done = [each for each in self._losses if np.isfinite(self._means(each)[1]).any()]
        if not done:
            return self._centre
        near = min(done, key=lambda each: sum(abs(math.log(a / b)) for a, b in zip(each, cell, strict=True)))
        lrs, means = self._means(near)
        moved = sum(
            self._usual.get(key, (0.0, 0.0))[0] * math.log(now / then)
            for key, now, then in zip(self.design.keys, cell, near, strict=True)
        )
        return float(lrs[int(np.nanargmin(means))] * math.exp(moved))
