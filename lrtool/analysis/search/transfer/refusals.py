"""Why points say nothing of a target: each check gives the reason in words, or an empty text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.search.transfer.law import FittedLaw
from lrtool.analysis.search.transfer.optima import Optima
from lrtool.analysis.search.transfer.points import Cell, Points, levels
from lrtool.analysis.search.transfer.selftest import SelfTest

Array = NDArray[np.float64]

#: Fewer values of a key prove no law beyond them.
FEWEST = 3
#: The least part of a key's movement that must be its own, not that of the other keys (1 − R²).
_OWN = 0.02
#: Parts of all cells, and of those of the largest scale, whose best LR may lie at an end of those that were tried.
_AT_EDGE, _LARGEST_AT_EDGE = 1 / 3, 1 / 2
#: Best LRs further off a law than this (in log LR), and so many times further than they are known, follow none.
_OFF, _TIMES = 0.25, 3.0
#: The factor within which most cells must know their best LR.
_KNOWN = 3.0


def of_points(points: Points, target: Mapping[str, float], beyond: Sequence[str], assumed: Sequence[str] = ()) -> str:
    """What the values of keys and losses show before anything is fitted.

    `assumed`: keys of which it is known beforehand how they move the best LR.
    """
    if not np.isfinite(points.loss).any():
        return "every point diverged or has no finite loss; measure smaller LRs"
    for key in points.keys:
        value = points.of(key)[0]
        if key not in (*points.moving, *assumed) and not math.isclose(target[key], value, rel_tol=1e-6):
            return (
                f"{key} does not move in these points (it is always {value:g}): nothing shows how the best LR moves"
                f" with it; measure three values of {key}"
            )
    cells = points.only(points.moving).cells()
    if not cells:
        return (
            "no values of the keys have three LRs with a finite loss, so none has a best LR; measure more LRs at each"
        )
    for key in (each for each in points.moving if each not in assumed):
        found = levels(np.exp([cell.at[points.moving.index(key)] for cell in cells]))
        if len(found) < 2 or (key in beyond and len(found) < FEWEST):
            return (
                f"{key} has {len(found)} value{'s' * (len(found) != 1)} with a best LR"
                f" ({', '.join(f'{value:g}' for value in found)}): through so few points goes any law;"
                f" measure {key} at {FEWEST} values, each with three LRs at least that train"
            )
    at = np.array([cell.at for cell in cells])
    moved = np.ptp(at, axis=0) > 0
    return _together([key for key, moves in zip(points.moving, moved, strict=True) if moves], at[:, moved])


def of_optima(points: Points, cells: Sequence[Cell], optima: Optima, beyond: Sequence[str]) -> str:
    """What the best LRs of the cells show."""
    if optima.flat:
        return (
            "where the losses are lowest they differ between LRs by no more than noise does: no best LR can be told;"
            " measure more LRs, further apart, or more seeds"
        )
    for key in beyond:
        column = optima.at[:, points.keys.index(key)]
        largest = np.abs(column - column.max()) < 1e-5
        if optima.edge[largest].mean() > _LARGEST_AT_EDGE:
            return _edge(points, cells, optima, largest)
    if optima.edge.mean() > _AT_EDGE:
        return _edge(points, cells, optima, np.ones(len(cells), bool))
    return ""


def of_noise(cells: Sequence[Cell], optima: Optima) -> str:
    """That an interval is too wide because the best LRs of the cells themselves are hardly known."""
    error = float(np.median(optima.error))
    if error <= math.log(_KNOWN):
        return ""
    known = f"at most cells the best LR is known only within a factor of {_short(error)} either way"
    if any(np.isfinite(cell.spread) for cell in cells):
        return f"the seeds disagree: {known}; measure more seeds"
    return f"the losses are too noisy: {known}; measure several seeds, or more LRs"


def of_law(law: FittedLaw, optima: Optima, tests: Sequence[SelfTest], beyond: Sequence[str]) -> str:
    """What the law shows, and its test on the largest scale."""
    if law.law.curved_in is not None and law.law.keys[law.law.curved_in] in beyond:
        key = law.law.keys[law.law.curved_in]
        return (
            f"the best LR follows no power of {key}: its exponent changes along what was measured (curvature), and"
            f" nothing says how it goes on; {_up_to(law, key)}"
        )
    for test in tests:
        if not test.passed:
            return (
                f"the law fails its test: from the other values of {test.key}, the best LR at {test.value:g} is"
                f" predicted {_times(test.off)} what was measured there, outside its interval;"
                f" {_up_to(law, test.key)}"
            )
    known = float(np.median(optima.error))
    if beyond and law.scatter > max(_OFF, _TIMES * known):
        return (
            f"the best LRs follow no law: they lie {np.expm1(law.scatter):.0%} off the one that fits best, but are"
            f" known within {np.expm1(known):.0%}; {_up_to(law, beyond[0])}"
        )
    return ""


def of_width(
    half: float,
    risk: float | None,
    reach: Mapping[str, float],
    target: Mapping[str, float],
    passes: tuple[float, float] | None,
    assumed: Sequence[str] = (),
) -> str:
    """That the interval is too wide to be of use: its half width, what it costs, how far one may go instead.

    `reach`: of the keys that may not go as far as asked for.
    `passes` over the data, at most measured and at the target, where the target has more. `assumed`: keys that were not
    measured at enough values.
    """
    said = [
        f"{key} = {value:.4g} is about as far as one may go (asked for: {target[key]:g})"
        for key, value in reach.items()
    ]
    if passes is not None:
        said.insert(
            0,
            f"the target passes over its data {passes[1]:.3g} times, what was measured at most {passes[0]:.2g} times,"
            " and shows no overfitting like it",
        )
    if assumed:
        few = " and ".join(assumed)
        said.append(f"{few} had too few values to show how the best LR moves: a larger budget has more")
    costs = "" if risk is None else f", which is expected to cost {risk:.0%} of the loss"
    return (
        f"the interval at the target is too wide to be of use, a factor of {_short(half)} either way{costs};"
        f" {'; '.join(said) or 'measure more cells, or more seeds'}"
    )


def _short(half: float) -> str:
    return f"{math.exp(half):.2g}" if half < 14 else "more than a million"


def _times(off: float) -> str:
    return f"{off:.2g} times" if off >= 1 else f"1/{1 / off:.2g} of"


def _up_to(law: FittedLaw, key: str) -> str:
    place = law.law.keys.index(key)
    low, high = np.exp(law.low[place]), np.exp(law.high[place])
    return f"one may go no further than what was measured ({key} from {low:g} to {high:g}), or measure a larger scale"


def _edge(points: Points, cells: Sequence[Cell], optima: Optima, inside: NDArray[np.bool_]) -> str:
    found = np.flatnonzero(optima.edge & inside)
    cell = cells[found[0]]
    where = ", ".join(f"{key} {np.exp(value):g}" for key, value in zip(points.keys, cell.at, strict=True))
    low = optima.x[found[0]] <= cell.x[0] + 1e-9
    end = f"the {'smallest' if low else 'largest'} LR, {np.exp(cell.x[0 if low else -1]):.3g}"
    more = f"measure {'smaller' if low else 'larger'} LRs"
    if inside.sum() == 1:
        return f"the best LR{f' at {where}' if where else ''} is at the edge of those that were tried: {end}; {more}"
    of = f"{len(found)} of {int(inside.sum())} cells have their best LR at the edge of those that were tried"
    return f"{of} (at {where}: {end}); {more}"


def _together(keys: Sequence[str], at: Array) -> str:
    """Keys of which one is all but a power law of the others."""
    if len(keys) < 2:
        return ""
    own = []
    for place in range(len(keys)):
        others = np.c_[np.ones(len(at)), np.delete(at, place, axis=1)]
        rest = at[:, place] - others @ np.linalg.lstsq(others, at[:, place], rcond=None)[0]
        own.append(float(np.square(rest).mean() / at[:, place].var()))
    joined = [key for key, part in zip(keys, own, strict=True) if part < _OWN]
    if not joined:
        return ""
    return (
        f"{' and '.join(joined)} move together in these points, so which of them moves the best LR cannot be told;"
        " measure one of them with the other as it is, or leave one out"
    )
