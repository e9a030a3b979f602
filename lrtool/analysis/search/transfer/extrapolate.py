"""The LR that measured points say for a target: by a law that was tested on them, or none, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.comparable import CEILING
from lrtool.analysis.search.transfer import refusals
from lrtool.analysis.search.transfer.law import Expected, FittedLaw, fit_law
from lrtool.analysis.search.transfer.loss import expected_loss
from lrtool.analysis.search.transfer.optima import Optima, find_optima
from lrtool.analysis.search.transfer.points import Cell, Points
from lrtool.analysis.search.transfer.selftest import SelfTest, self_test

Array = NDArray[np.float64]
Interval = tuple[float, float]

#: An interval that reaches further than this factor either way from the LR is no answer, unless the basin is so flat
#: that it is expected to cost at most this part of the loss; nor is one that is expected to cost more than `_COSTLY`.
WIDEST, _CHEAP, _COSTLY = 3.0, 0.05, 0.2
#: Standard deviation of what passing over the data once more than e times as often as measured does to the best LR.
_REPEATED = 0.2
#: Beyond so much (in log loss) the shape says nothing of the loss.
_MOST = 1.0
#: How far beyond the measured range one may go is looked for up to this factor.
_FURTHEST = 1e4


@dataclass(frozen=True)
class Transferred:
    """What points say of a target.

    `lr` with its 95% `interval`, None where `reason` says why; `alike`: LRs that no single run there could tell from
    the best. `loss`: the 95% interval of the loss at the best LR; `excess`: by what part the loss may be higher at an
    end of the interval, if the best LR lies at the other; `risk`: by what part it is expected to be higher at `lr`, the
    best LR lying anywhere in the interval. `passes`: how often the longest of the measured runs pass over their data,
    and the target, where known. `beyond`: keys whose target lies outside what was measured,
    none where it is interpolated; `reach`: how far each of them may go. `law`, `optima`, `cells`, `tests`: what it was
    read from.
    """

    points: Points
    target: Mapping[str, float]
    reason: str = ""
    lr: float | None = None
    interval: Interval | None = None
    alike: Interval | None = None
    loss: Interval | None = None
    excess: float | None = None
    risk: float | None = None
    passes: tuple[float, float] | None = None
    beyond: tuple[str, ...] = ()
    reach: Mapping[str, float] = field(default_factory=dict)
    law: FittedLaw | None = None
    optima: Optima | None = None
    cells: tuple[Cell, ...] = ()
    tests: tuple[SelfTest, ...] = ()

    @property
    def diverged(self) -> bool:
        """Whether no point has a finite loss."""
        return not np.isfinite(self.points.loss).any()

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that the law is of: those that move."""
        return self.points.moving


def extrapolate(
    points: Points,
    target: Mapping[str, float],
    expected: Expected | None = None,
    passes: tuple[float, float] | None = None,
) -> Transferred:
    """The best LR at a target, by a law through the best LRs of all cells that were measured.

    Refuses where the points support no law: see `refusals`. Before a law is used beyond the measured range, it has to
    predict the largest measured scale from the smaller ones. `expected`: what is known of exponents beforehand.
    `passes` over the data, at most measured and at the target: with overfitting that was not seen the interval widens.
    """
    found = Transferred(points, target, beyond=_beyond(points, target), passes=passes)
    reason = refusals.of_points(points, target, found.beyond)
    if reason:
        return _refused(found, reason)
    moving = points.only(points.moving)
    cells = tuple(moving.cells())
    optima = find_optima(cells)
    found = _with(found, cells=cells, optima=optima)
    reason = refusals.of_optima(moving, cells, optima, found.beyond)
    if reason:
        return _refused(found, reason)
    if not moving.keys:
        return _answered(found, float(optima.x[0]), 1.96 * float(np.hypot(optima.error[0], 0.05)), optima.at[0])
    law = fit_law(moving.keys, optima.at, optima.x, optima.error, expected)
    tests = tuple(self_test(moving.keys, key, optima, target[key], expected) for key in found.beyond)
    found = _with(found, law=law, tests=tests)
    logs = np.log([target[key] for key in moving.keys])
    found = _with(found, reach={key: _reach(law, optima, moving, target, key) for key in found.beyond})
    reason = refusals.of_law(law, optima, tests, found.beyond)
    if reason:
        return _refused(found, reason)
    middle, half = law.predict(logs)
    half = math.hypot(half, 1.96 * _REPEATED * repeated(passes))
    risk = _risk(optima, logs, half) if points.scale.logarithmic else None
    if not _useful(half, risk):
        short = {key: value for key, value in found.reach.items() if _short(moving, key, value, target[key])}
        return _refused(found, refusals.of_width(half, risk, short, target, passes if repeated(passes) else None))
    return _answered(found, middle, half, logs)


def repeated(passes: tuple[float, float] | None) -> float:
    """The log of how many times more often the target passes over its data than was measured; 0 up to one pass."""
    return 0.0 if passes is None else math.log(max(1.0, passes[1] / max(1.0, passes[0])))


def _answered(found: Transferred, middle: float, half: float, logs: Array) -> Transferred:
    optima = found.optima
    assert optima is not None
    curvature = float(optima.shape.curvature(logs))
    grid = np.linspace(0, 4, 401)
    below, above = (
        float(grid[np.flatnonzero(optima.shape.above(side * grid, curvature) <= optima.noise)[-1]]) for side in (-1, 1)
    )
    risk = _risk(optima, logs, half) if found.points.scale.logarithmic else None
    worst = float(optima.shape.above(np.array([-2 * half, 2 * half]), curvature).max())
    return _with(
        found,
        lr=math.exp(middle),
        interval=(math.exp(middle - half), math.exp(middle + half)),
        alike=(math.exp(middle - half - below), math.exp(middle + half + above)),
        excess=math.expm1(worst) if found.points.scale.logarithmic and worst < _MOST else None,
        risk=risk,
        loss=expected_loss(found.points, optima, logs),
    )


def _short(points: Points, key: str, value: float, target: float) -> bool:
    """Whether a value beyond the measured range falls short of the target."""
    return value < 0.99 * target if target > points.of(key)[-1] else value > 1.01 * target


def _useful(half: float, risk: float | None) -> bool:
    """Whether an interval is narrow enough, or costs so little that it need not be."""
    if risk is None:
        return half <= math.log(WIDEST)
    return risk <= _CHEAP or (half <= math.log(WIDEST) and risk <= _COSTLY)


def _risk(optima: Optima, logs: Array, half: float) -> float:
    """By what part the loss is expected to be above its least, if the log of the best LR is normal about the LR.

    Beyond the measured range the basin is taken to be as narrow as at its end.
    """
    u = half / 1.96 * np.linspace(-3, 3, 121)
    weights = np.exp(-np.square(np.linspace(-3, 3, 121)) / 2)
    inside = np.clip(logs, optima.at.min(axis=0), optima.at.max(axis=0))
    curvature = float(optima.shape.curvature(inside))
    above = np.expm1(np.minimum(optima.shape.above(u, curvature), CEILING))
    return float(above @ weights / weights.sum())


def _beyond(points: Points, target: Mapping[str, float]) -> tuple[str, ...]:
    """The keys that move and whose target is not inside what was measured."""
    ends = {key: (points.of(key)[0], points.of(key)[-1]) for key in points.moving}
    return tuple(key for key, (low, high) in ends.items() if not low * (1 - 1e-6) <= target[key] <= high * (1 + 1e-6))


def _reach(law: FittedLaw, optima: Optima, points: Points, target: Mapping[str, float], key: str) -> float:
    """The value of a key, on the target's side, up to which the interval stays useful; other keys as measured.

    Where the target has other keys beyond their range, they are at its end.
    """
    values, up = points.of(key), target[key] > points.of(key)[-1]
    end = values[-1] if up else values[0]
    logs = np.log([float(np.clip(target[each], points.of(each)[0], points.of(each)[-1])) for each in points.keys])
    cell = points.keys.index(key)
    best = float(end)
    for factor in np.geomspace(1, _FURTHEST, 200):
        logs[cell] = math.log(end * factor if up else end / factor)
        half = law.predict(logs)[1]
        if not _useful(half, _risk(optima, logs, half) if points.scale.logarithmic else None):
            break
        best = math.exp(logs[cell])
    return best


def _refused(found: Transferred, reason: str) -> Transferred:
    return _with(found, reason=reason)


def _with(found: Transferred, **changes: object) -> Transferred:
    return Transferred(**{**vars(found), **changes})
