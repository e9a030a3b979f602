"""The LR that measured points say for a target: by a law that was tested on them, or none, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.search.transfer import refusals
from lrtool.analysis.search.transfer.law import Expected, FittedLaw, fit_law
from lrtool.analysis.search.transfer.loss import expected_loss
from lrtool.analysis.search.transfer.optima import Optima, find_optima
from lrtool.analysis.search.transfer.points import Cell, Points, levels
from lrtool.analysis.search.transfer.risk import LeastRisk, worst
from lrtool.analysis.search.transfer.selftest import SelfTest, self_test
from lrtool.analysis.search.transfer.usual import DURATION, haste

Array = NDArray[np.float64]
Interval = tuple[float, float]

#: An interval is no answer where it is expected to cost more than this part of the loss; where losses are no ratios,
#: where it reaches further than this factor either way from the middle.
COSTLY, WIDEST = 0.1, 3.0
#: Standard deviation of what passing over the data once more than e times as often as measured does to the best LR.
_REPEATED = 0.2
#: How far beyond the measured range one may go is looked for up to this factor.
_FURTHEST = 1e3
#: Beyond such logs no LR can be written.
_LOGS = 700.0


@dataclass(frozen=True)
class Guess:
    """The best that can be said where it is not enough for an answer: an LR, its 95% interval, what it may cost."""

    lr: float
    interval: Interval
    risk: float | None


@dataclass(frozen=True)
class Transferred:
    """What points say of a target.

    `lr` with the 95% `interval` of the best one, None where `reason` says why; `alike`: LRs that no single run there
    could tell from the best. `loss`: the 95% interval of the loss at the best LR; `excess`: by what part the loss may
    be higher at an end of the interval, if the best LR lies at the other; `risk`: by what part it is expected to be
    higher at `lr`, the best LR lying anywhere in the interval: `lr` is where that is least. `expected`: what was known
    of exponents beforehand, and `assumed`: the keys of which little else is known. `passes`: how often the longest of
    the measured runs pass over their data, and the target, where known. `beyond`: keys whose target lies outside what
    was measured, none where it is interpolated; `reach`: how far each of them may go. `law`, `optima`, `cells`,
    `tests`: what it was read from. `guess`: where an interval is too wide to be an answer; `enough`: the budget in
    target runs from which on one is expected, infinite where no affordable one is, None where that is unknown.
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
    expected: Expected = field(default_factory=dict)
    assumed: tuple[str, ...] = ()
    passes: tuple[float, float] | None = None
    beyond: tuple[str, ...] = ()
    reach: Mapping[str, float] = field(default_factory=dict)
    law: FittedLaw | None = None
    optima: Optima | None = None
    cells: tuple[Cell, ...] = ()
    tests: tuple[SelfTest, ...] = ()
    guess: Guess | None = None
    enough: float | None = None

    @property
    def diverged(self) -> bool:
        """Whether no point has a finite loss."""
        return not np.isfinite(self.points.loss).any()

    def limited(self, key: str) -> bool:
        """Whether it is known how far one may go along a key: not further than is looked."""
        values, value = self.points.of(key), self.reach[key]
        return bool(max(value / values[-1], values[0] / value) < 0.99 * _FURTHEST)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that the law is of: those that move, and those of which it is assumed how they move the LR."""
        return tuple(key for key in self.points.keys if key in self.points.moving or key in self.assumed)


def extrapolate(
    points: Points,
    target: Mapping[str, float],
    expected: Expected | None = None,
    passes: tuple[float, float] | None = None,
) -> Transferred:
    """The best LR at a target, by a law through the best LRs of all cells that were measured.

    Refuses where the points support no law: see `refusals`. Before a law is used beyond the measured range, it has to
    predict the largest measured scale from the smaller ones. `expected`: what is known of exponents beforehand; of a
    key that was measured at too few values it has to do, and the interval is as wide as that makes it.
    `passes` over the data, at most measured and at the target: with overfitting that was not seen the interval widens.
    """
    expected = expected or {}
    assumed = _assumed(points, target, expected)
    found = Transferred(points, target, expected=expected, assumed=assumed, passes=passes)
    found = _with(found, beyond=_beyond(points, target, found.keys))
    reason = refusals.of_points(points, target, found.beyond, assumed)
    if reason:
        return _with(found, reason=reason)
    used = points.only(found.keys)
    cells = tuple(used.cells())
    optima = find_optima(cells)
    found = _with(found, cells=cells, optima=optima)
    reason = refusals.of_optima(used, cells, optima, found.beyond)
    if reason:
        return _with(found, reason=reason)
    if not used.keys:
        return _judged(found, float(optima.x[0]), 1.96 * float(np.hypot(optima.error[0], 0.05)), optima.at[0])
    return _by_law(found, used, _hasty(optima, used.keys, expected))


def repeated(passes: tuple[float, float] | None) -> float:
    """The log of how many times more often the target passes over its data than was measured; 0 up to one pass."""
    return 0.0 if passes is None else math.log(max(1.0, passes[1] / max(1.0, passes[0])))


def widened(half: float, passes: tuple[float, float] | None) -> float:
    """The half width of an interval of log LR where overfitting that was not seen may move the best one."""
    return math.hypot(half, 1.96 * _REPEATED * repeated(passes))


def _by_law(found: Transferred, used: Points, optima: Optima) -> Transferred:
    """What the law through these best LRs says, if it passes its tests."""
    keys, target, expected = used.keys, found.target, found.expected
    law = fit_law(keys, optima.at, optima.x, optima.error, expected)
    several = [key for place, key in enumerate(keys) if np.ptp(optima.at[:, place]) > 0]
    tests = tuple(self_test(keys, key, optima, target[key], expected) for key in found.beyond if key in several)
    found = _with(found, law=law, tests=tests)
    found = _with(found, reach={key: _reach(law, optima, used, target, key) for key in found.beyond})
    reason = refusals.of_law(law, optima, tests, found.beyond)
    if reason:
        return _with(found, reason=reason)
    logs = np.log([target[key] for key in keys])
    middle, half = law.predict(logs)
    return _judged(found, middle, widened(half, found.passes), logs)


def _judged(found: Transferred, middle: float, half: float, logs: Array) -> Transferred:
    """The answer of a law that holds, or that its interval is too wide to be of use."""
    optima = found.optima
    assert optima is not None
    points, target, passes = found.points.only(found.keys), found.target, found.passes
    least = LeastRisk.of(optima, logs, half, points.scale.logarithmic)
    if useful(half, least.risk):
        return _answered(found, middle, half, logs)
    short = {key: value for key, value in found.reach.items() if _short(points, key, value, target[key])}
    said = (half, least.risk, short, target, passes if repeated(passes) else None, found.assumed)
    interval = (math.exp(middle - half), math.exp(middle + half)) if abs(middle) + half < _LOGS else None
    return _with(
        found,
        reason=refusals.of_noise(found.cells, optima) or refusals.of_width(*said),
        guess=interval and Guess(math.exp(middle + least.shift), interval, least.risk),
    )


def _answered(found: Transferred, middle: float, half: float, logs: Array) -> Transferred:
    optima = found.optima
    assert optima is not None
    curvature = float(optima.shape.curvature(logs))
    grid = np.linspace(0, 4, 401)
    below, above = (
        float(grid[np.flatnonzero(optima.shape.above(side * grid, curvature) <= optima.noise)[-1]]) for side in (-1, 1)
    )
    logarithmic = found.points.scale.logarithmic
    least = LeastRisk.of(optima, logs, half, logarithmic)
    return _with(
        found,
        lr=math.exp(middle + least.shift),
        interval=(math.exp(middle - half), math.exp(middle + half)),
        alike=(math.exp(middle - half - below), math.exp(middle + half + above)),
        excess=worst(optima, logs, half, logarithmic),
        risk=least.risk,
        loss=expected_loss(found.points, optima, logs),
    )


def _short(points: Points, key: str, value: float, target: float) -> bool:
    """Whether a value beyond the measured range falls short of the target."""
    return value < 0.99 * target if target > points.of(key)[-1] else value > 1.01 * target


def useful(half: float, risk: float | None) -> bool:
    """Whether an interval is narrow enough, or costs so little that it need not be."""
    return half <= math.log(WIDEST) if risk is None else risk <= COSTLY


def _assumed(points: Points, target: Mapping[str, float], expected: Expected) -> tuple[str, ...]:
    """The keys measured at too few values to show how they move the LR, of which that is known beforehand."""
    cells = points.cells() if np.isfinite(points.loss).any() else []
    found = []
    for place, key in enumerate(points.keys if cells else ()):
        values = levels(np.exp([cell.at[place] for cell in cells]))
        inside = values[0] * (1 - 1e-6) <= target[key] <= values[-1] * (1 + 1e-6)
        if key in expected and len(values) < refusals.FEWEST and not inside:
            found.append(key)
    return tuple(found)


def _hasty(optima: Optima, keys: tuple[str, ...], expected: Expected) -> Optima:
    """The same, runs of few updates being trusted less; of points alone nobody knows what a duration counts."""
    if DURATION not in keys or DURATION not in expected:
        return optima
    updates = np.exp(optima.at[:, keys.index(DURATION)])
    return replace(optima, error=np.hypot(optima.error, haste(updates)))


def _beyond(points: Points, target: Mapping[str, float], keys: tuple[str, ...]) -> tuple[str, ...]:
    """The keys whose target is not inside what was measured."""
    ends = {key: (points.of(key)[0], points.of(key)[-1]) for key in keys}
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
        if not useful(half, LeastRisk.of(optima, logs, half, points.scale.logarithmic).risk):
            break
        best = math.exp(logs[cell])
    return best


def _with(found: Transferred, **changes: object) -> Transferred:
    return Transferred(**{**vars(found), **changes})
