"""Which smaller runs to train so that, for what they cost, they say most of the target."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lrtool.analysis.search.transfer.law import Expected
from lrtool.analysis.search.transfer.usual import DURATION, SHORTEST, haste

#: Values of every other key, as parts of the target's, and which of them are measured: where little is affordable,
#: what is usual of exponents has to stand in for the others.
PARTS = (1 / 16, 1 / 8, 1 / 4)
_CHOSEN = ((0, 1, 2), (0, 2), (0, 1), (0,))
_CHOSEN_ALONE = ((1, 2), (2,), (1,))
#: Lengths, as parts of the longest run's.
_LENGTHS = ((1.0, 1 / 2, 1 / 4, 1 / 8), (1.0, 1 / 2, 1 / 4), (1.0, 1 / 4, 1 / 16), (1.0, 1 / 4), (1.0, 1 / 2), (1.0,))
#: The longest run, as a part of the target's updates; where other keys make runs cheap, they may be as long as it.
_WHOLE = (1.0, 1 / 2)
_LONGEST = (1 / 4, 1 / 6, 1 / 8, 1 / 12, 1 / 16, 1 / 24, 1 / 32, 1 / 48, 1 / 64, 1 / 96, 1 / 128, 1 / 192, 1 / 256)
_SEEDS = (3, 2, 1)
#: LRs of every cell, around where its best is expected; and what looking for the first cell's comes to.
LRS, _FIRST_TRIALS = 3, 6
#: What continuing is expected to add to the cost.
_MORE = 1.3

#: What a design is judged by, in log LR: the error of a cell of one seed, the scatter of best LRs about a law, and
#: what exponents may change by per distance beyond the measured range.
_ERROR, _SCATTER, _DRIFT = 0.12, 0.12, 0.1

Values = tuple[float, ...]
#: What a run with these values costs, in target runs.
Cost = Callable[[Mapping[str, float]], float]


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
    cost: Cost,
    target: Mapping[str, float],
    expected: Expected,
    longer: bool = True,
) -> Design | None:
    """The design within the budget that says most of the target; None where it holds none with runs long enough.

    `levels`: ascending values of every key but the duration. Several lengths are crossed with the least of these; then
    one key at a time moves, at one of the lengths: cells are shared by all keys' exponents. Where the target is not
    `longer` than what is usual and the budget allows it, all runs have its length. `target`: its values of all keys;
    `expected`: what is known of their exponents.
    """
    affordable = (each for each in _designs(levels, updates, cost, longer) if each.cost <= runs)
    return min(affordable, key=lambda each: unknown(each, target, expected), default=None)


def least_cost(levels: Mapping[str, Sequence[float]], updates: int, cost: Cost, longer: bool = True) -> float | None:
    """What the least costly design costs, in target runs; None where even the target is too short for any."""
    return min((each.cost for each in _designs(levels, updates, cost, longer)), default=None)


def holds_shorter(updates: int, runs: float) -> bool:
    """Whether so many runs of so many updates hold enough shorter ones to learn from."""
    least = least_cost({}, updates, lambda values: values[DURATION] / updates)
    return least is not None and least <= runs


def _designs(levels: Mapping[str, Sequence[float]], updates: int, cost: Cost, longer: bool) -> Iterator[Design]:
    """All that is considered; of alike ones the first is meant."""
    keys, seen = (DURATION, *levels), set()
    chosen = _CHOSEN + (_CHOSEN_ALONE if len(levels) == 1 else ()) if levels else ((),)
    for places in chosen:
        some = {key: [values[place] for place in places] for key, values in levels.items()}
        for lengths in _lengths(updates, bool(levels), longer):
            for shared in range(len(lengths) if len(places) > 1 else 1):
                cells = _cells(some, lengths, shared)
                costs = [cost(cell) for cell in cells]
                order = np.argsort(costs, kind="stable")
                ordered = tuple(tuple(cells[place][key] for key in keys) for place in order)
                if ordered in seen:
                    continue
                seen.add(ordered)
                for seeds in _SEEDS:
                    # The first cell's wide grid has one seed.
                    takes = _MORE * seeds * LRS * sum(costs) + _FIRST_TRIALS * min(costs)
                    yield Design(keys, ordered, seeds, updates, takes)


def unknown(design: Design, target: Mapping[str, float], expected: Expected) -> float:
    """The variance of the log LR at the target that a design is expected to leave.

    Each cell has an error of its own, and beyond the measured range exponents may change with the distance.
    """
    at, goal = np.log(design.cells), np.log([target[key] for key in design.keys])
    rows, row = np.c_[np.ones(len(at)), at - at.mean(axis=0)], np.r_[1.0, goal - at.mean(axis=0)]
    precision = np.r_[0.0, [1 / expected.get(key, (0.0, 1.0))[1] ** 2 for key in design.keys]]
    short = haste(np.array([design.steps(cell) for cell in design.cells]))
    error = _ERROR**2 / design.seeds + short**2 + _SCATTER**2
    information = rows.T @ (rows / error[:, None]) + np.diag(precision)
    beyond = np.maximum(0, np.maximum(goal - at.max(axis=0), at.min(axis=0) - goal))
    return float(row @ np.linalg.pinv(information) @ row + np.square(_DRIFT * beyond).sum())


def _lengths(updates: int, others: bool, longer: bool) -> Iterator[list[float]]:
    """Sets of lengths."""
    if others and not longer:
        yield [float(updates)]
    for longest in (*(_WHOLE if others else ()), *_LONGEST):
        for parts in _LENGTHS:
            if parts[-1] * longest * updates >= SHORTEST:
                yield [length * longest * updates for length in parts]


def _cells(levels: Mapping[str, Sequence[float]], lengths: Sequence[float], shared: int) -> list[dict[str, float]]:
    """Every length with the least of the other keys; their larger values at the length of the place `shared`."""
    least = {key: values[0] for key, values in levels.items()}
    cells = [{DURATION: float(round(length)), **least} for length in lengths]
    at = float(round(lengths[shared]))
    cells += [{DURATION: at, **least, key: value} for key, values in levels.items() for value in values[1:]]
    return cells
