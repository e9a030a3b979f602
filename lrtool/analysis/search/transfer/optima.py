"""The best LR of every cell, all read with one shape of the loss around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.search.transfer.flat import chance, is_flat
from lrtool.analysis.search.transfer.points import Cell

Array = NDArray[np.float64]

#: LRs of a cell within this factor (in log LR) of its best one show the shape; with a coarse grid at least two each
#: side.
_NEAR, _STEPS = 1.25, 2.1
#: So far beyond its LRs (in log LR) a cell's best one is looked for, on a grid of this spacing.
_BEYOND, _GRID = 0.7, 0.02
#: Passes in which windows, weights, optima and shape are each found from the others.
_PASSES = 6
#: A loss this many standard deviations off counts half as much as its square says.
_ROBUST = 2.0
#: Standard deviation of a normal distribution, in its median distance from 0.
_USUAL = 1.48
#: The noise of a cell by itself is judged as if so many further losses had that of all cells.
_ALIKE = 4.0
#: Passes in which a least loss and the weights of losses far off are found from each other.
_LEVELLED = 6
#: What is known beforehand of the skew of a shape, and of how its curvature moves with a key: standard deviations.
_SKEW, _MOVES = 1.0, 0.3
#: With few points to judge the noise by, this part of the shape's depth counts as so many further ones.
_NOISE, _FURTHER = 0.04, 2.0


@dataclass(frozen=True)
class Shape:
    """Loss above its minimum at u = log(LR/best LR): a·u²·exp(b·tanh u), a = exp(`level` + Σ `moves`·z).

    z are the log keys, standardised with `centre` and `spread`. b (`skew`) above 0: larger LRs are worse than smaller.
    """

    level: float
    skew: float
    moves: Array
    centre: Array
    spread: Array

    def curvature(self, at: Array) -> Array:
        """`a` at log keys (…, keys)."""
        return np.asarray(np.exp(self.level + ((at - self.centre) / self.spread) @ self.moves))

    def above(self, u: Array, curvature: Array | float = 1.0) -> Array:
        """The loss above its minimum, on the comparable scale."""
        return np.asarray(curvature * u**2 * np.exp(self.skew * np.tanh(u)))


@dataclass(frozen=True)
class Optima:
    """Each cell's best LR, and what was needed to find it; all (cells,).

    `at` (cells, keys): log keys; `x`: log of the best LR; `error`: its standard error; `least`: the loss there, on the
    comparable scale; `noise`: standard deviation of a loss about the shape, over all cells; `edge`: whether no LR on
    one side of it was tried; `flat`: whether losses show no shape beyond their noise.
    """

    at: Array
    x: Array
    error: Array
    least: Array
    edge: NDArray[np.bool_]
    shape: Shape
    noise: float
    flat: bool


def find_optima(cells: Sequence[Cell]) -> Optima:
    """Locate the best LR of each cell, by weighted least squares with one shape for all.

    Single losses are too noisy to say by themselves where their minimum is: with a common curvature and skew every
    cell has two unknowns only, its best LR and its least loss, and says of the LR how well it is known. Losses far off
    (a spike, a training that just broke down) count little, and some cells are noisier than others.
    """
    at = np.array([cell.at for cell in cells])
    spread = np.where(np.ptp(at, axis=0) > 0, at.std(axis=0), 1.0)
    x = np.array([cell.x[cell.best] for cell in cells])
    shape = Shape(_first_level(cells), 0.0, np.zeros(at.shape[1]), at.mean(axis=0), spread)
    weights = [np.where(_window(cell, middle), np.sqrt(cell.seeds), 0.0) for cell, middle in zip(cells, x, strict=True)]
    noise = np.full(len(cells), _first_noise(cells))
    fits: list[_Fit] = []
    for _ in range(_PASSES):
        shape = _shaped(shape, cells, x, weights)
        counts = [np.where(_window(cell, middle), np.sqrt(cell.seeds), 0.0)
                  for cell, middle in zip(cells, x, strict=True)]  # fmt: skip
        fits = [_Fit.of(cell, shape, count, each) for cell, count, each in zip(cells, counts, noise, strict=True)]
        x, noise = np.array([fit.x for fit in fits]), _noise(fits, shape)
        weights = [fit.weights * noise.mean() / each for fit, each in zip(fits, noise, strict=True)]
    noise = np.maximum(noise, _between_seeds(cells))
    return Optima(
        at,
        x,
        np.array([fit.error(each) for fit, each in zip(fits, noise, strict=True)]),
        np.array([fit.least for fit in fits]),
        np.array([fit.beyond for fit in fits]),
        shape,
        float(np.sqrt(np.mean(noise**2))),
        _is_flat(cells, fits),
    )


@dataclass(frozen=True)
class _Fit:
    """One cell under a shape: robust misfits over the log LRs `grid` that its best one may be, and the best of them.

    Misfits are in variances of the `noise` that a loss was taken to have. `residuals` (n,) of all its losses; `y`,
    `weights` (n,): those that count have a weight above 0.
    """

    grid: Array
    misfits: Array
    noise: float
    x: float
    least: float
    residuals: Array
    y: Array
    weights: Array
    beyond: bool

    @classmethod
    def of(cls, cell: Cell, shape: Shape, counts: Array, noise: float) -> _Fit:
        """Try every log LR of the grid, each with the least loss that suits it."""
        grid = np.arange(cell.x[0] - _BEYOND, cell.x[-1] + _BEYOND + _GRID / 2, _GRID)
        y, counts = np.where(cell.known, cell.y, 0.0), np.where(cell.known, counts, 0.0)
        curvature = float(shape.curvature(cell.at))
        misfits = _levelled(y - shape.above(cell.x - grid[:, None], curvature), counts, noise)[2]
        found = int(misfits.argmin())
        x = _vertex(grid, misfits, found)
        left = y - shape.above(cell.x - x, curvature)
        (level,), (weights,), _ = _levelled(left[None], counts, noise)
        lrs = cell.x[cell.known]
        beyond = bool(x <= lrs[0] or x >= cell.x[-1])
        return cls(grid, misfits, noise, x, float(level), left - level, y, np.sqrt(weights), beyond)

    @property
    def squares(self) -> float:
        """The sum of squared residuals, as they count."""
        return float(np.square(self.weights * self.residuals).sum())

    def error(self, noise: float) -> float:
        """Half of the LRs whose misfit is less than one variance above the least, at the wider side."""
        inside = self.misfits - self.misfits.min() <= (noise / self.noise) ** 2
        found = int(self.misfits.argmin())
        below, above = np.flatnonzero(~inside[:found]), np.flatnonzero(~inside[found:])
        low = self.grid[below[-1] + 1] if below.size else self.grid[0] - _BEYOND
        high = self.grid[found + above[0] - 1] if above.size else self.grid[-1] + _BEYOND
        return float(max(self.x - low, high - self.x, _GRID / 2))


def _levelled(rest: Array, counts: Array, noise: float) -> tuple[Array, Array, Array]:
    """For each row of `rest` (rows, n) its robust level, the weights (rows, n) of its entries, and the misfit.

    An entry z standard deviations off has 2r²(√(1 + z²/r²) − 1) instead of z², so that no spike moves the rest.
    """
    level = np.median(rest[:, counts > 0], axis=1)
    weights = np.broadcast_to(counts**2, rest.shape)
    soft = np.ones_like(weights)
    for _ in range(_LEVELLED):
        soft = np.sqrt(1 + np.square(counts * (rest - level[:, None]) / (_ROBUST * noise)))
        weights = counts**2 / soft
        level = (rest * weights).sum(axis=1) / weights.sum(axis=1)
    return level, weights, 2 * _ROBUST**2 * (soft - 1).sum(axis=1)


def _vertex(grid: Array, misfits: Array, found: int) -> float:
    """The minimum of the parabola through the least misfit and those beside it."""
    if not 0 < found < len(grid) - 1:
        return float(grid[found])
    before, at, after = misfits[found - 1 : found + 2]
    bend = before - 2 * at + after
    return float(grid[found] + (0.5 * _GRID * (before - after) / bend if bend > 0 else 0.0))


def _first_level(cells: Sequence[Cell]) -> float:
    """The log curvature that the median loss next to the best LR of its cell speaks for."""
    found = []
    for cell in cells:
        u = np.abs(cell.x - cell.x[cell.best])
        beside = cell.known & (u > 0) & (u <= max(_NEAR, 1.01 * np.sort(u)[1]))
        found += list((cell.y[beside] - cell.y[cell.best]) / u[beside] ** 2)
    positive = [each for each in found if each > 0]
    return float(np.log(np.median(positive))) if positive else -20.0


def _window(cell: Cell, middle: float) -> NDArray[np.bool_]:
    """The losses of a cell that show the shape around its best LR, three at least."""
    away = np.where(cell.known, np.abs(cell.x - middle), np.inf)
    gap = float(np.median(np.diff(cell.x)))
    near = np.argsort(away, kind="stable")[:3]
    inside = away <= max(_NEAR, _STEPS * gap) + 1e-9
    inside[near] = np.isfinite(away[near])
    return np.asarray(inside)


def _shaped(shape: Shape, cells: Sequence[Cell], x: Array, weights: Sequence[Array]) -> Shape:
    """The shape that fits all losses best around these best LRs."""
    from scipy.optimize import least_squares

    count = np.array([len(cell.x) for cell in cells])
    owner, u = np.repeat(np.arange(len(cells)), count), np.concatenate([p.x for p in cells]) - np.repeat(x, count)
    y = np.concatenate([np.where(cell.known, cell.y, 0.0) for cell in cells])
    w = np.concatenate(weights) * np.concatenate([cell.known for cell in cells])
    total = np.bincount(owner, w**2, minlength=len(cells))
    z = (np.array([cell.at for cell in cells]) - shape.centre) / shape.spread

    def made(p: Array) -> Shape:
        return Shape(float(p[0]), float(p[1]), p[2:], shape.centre, shape.spread)

    def residuals(p: Array) -> Array:
        rest = y - made(p).above(u, np.exp(p[0] + z @ p[2:])[owner])
        least = np.bincount(owner, w**2 * rest, minlength=len(cells)) / total
        return np.asarray(w * (rest - least[owner]))

    start = np.r_[shape.level, shape.skew, shape.moves]
    expected = max(_USUAL * float(np.median(np.abs(residuals(start)[w > 0]))), 1e-12)
    prior = np.r_[1 / _SKEW, np.full(len(shape.moves), 1 / _MOVES)]
    found = least_squares(
        lambda p: np.r_[residuals(p) / expected, prior * p[1:]],
        start,
        bounds=(np.r_[-60, -3, np.full(z.shape[1], -2.0)], np.r_[20, 3, np.full(z.shape[1], 2.0)]),
        loss="soft_l1",
        f_scale=_ROBUST,
    )
    return made(found.x)


def _noise(fits: Sequence[_Fit], shape: Shape) -> Array:
    """The standard deviation of a loss about the shape (cells,): that of all cells, and what each shows itself."""
    squares, used = np.array([[fit.squares, float((fit.weights > 0).sum())] for fit in fits]).T
    spare = max(0.0, float(used.sum()) - 2 * len(fits) - 2 - len(shape.moves))
    common = (squares.sum() + _FURTHER * (_NOISE * _depth([fit.y[fit.weights > 0] for fit in fits])) ** 2) / (
        spare + _FURTHER
    )
    own = (_ALIKE * common + squares) / (_ALIKE + np.maximum(0, used - 2))
    return np.asarray(np.maximum(np.sqrt(own), 1e-12))


def _first_noise(cells: Sequence[Cell]) -> float:
    """What is taken for the noise before anything is fitted."""
    return max(_NOISE * _depth([cell.y[cell.known] for cell in cells]), 1e-12)


def _depth(losses: Sequence[Array]) -> float:
    return float(np.median([np.ptp(y) for y in losses]))


def _between_seeds(cells: Sequence[Cell]) -> float:
    """The standard deviation of a loss between seeds; 0 where nothing was measured twice."""
    known = [cell.spread for cell in cells if np.isfinite(cell.spread)]
    return float(np.sqrt(np.median(known))) if known else 0.0


def _is_flat(cells: Sequence[Cell], fits: Sequence[_Fit]) -> bool:
    rest = sum(fit.squares for fit in fits)
    total = sum(_about_mean(fit.y, fit.weights) for fit in fits)
    used = sum(int((fit.weights > 0).sum()) for fit in fits)
    return is_flat(cells, chance(total, rest, len(fits) + 1, used - 2 * len(fits) - 1))


def _about_mean(y: Array, weights: Array) -> float:
    w = weights**2
    return float(w @ np.square(y - w @ y / w.sum()))
