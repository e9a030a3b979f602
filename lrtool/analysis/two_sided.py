"""Responses with two sides: every shape that may lie behind measured losses, weighed by how well it explains them.

A response falls along a left branch, stays on a floor, and rises along a right branch or breaks off at a cliff:

    y(x) = floor + a·(left − x)₊^p + b·(x − right)₊^q        p, q: 1 or 2; a cliff: b where x > right

over x, the log LR. `left` and `right` are tried at several places in each gap between LRs, the floor may be a point,
and the left branch may still fall where the response breaks off. The means of the losses differ from a shape by their
own noise, by a misfit of unknown size, and by a part of their height above the best: far up a rough fit will do.
a, b ≥ 0 and the floor are integrated out, so a shape with more freedom must explain more.
Source: Bayesian linear regression and model averaging, Hoeting et al. 1999, Statistical Science 14, 382–417.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.comparable import Means

Array = NDArray[np.float64]

#: Places in each gap between LRs where a branch may begin, for at most so many LRs; more LRs say more by themselves.
_PLACES = ((9, 4), (13, 3), (10**9, 2))
#: Half of all shapes have a floor wider than a point.
_WIDE = 0.5
#: Sizes of the misfit, in standard errors of the means, and how likely each is before losses are seen.
_MISFIT, _MISFIT_CHANCE = np.array([0.0, 0.7, 1.5, 3.0]), np.array([0.4, 0.3, 0.2, 0.1])
#: The noise of a single seed, as a part of the loss, with the same: two seeds usually differ by 1 to 10%.
_NOISE, _NOISE_CHANCE = np.array([0.003, 0.01, 0.03, 0.1, 0.3]), np.array([0.1, 0.25, 0.35, 0.2, 0.1])
#: A shape is true to this part of the height above the best.
_ROUGH = 0.15
#: Where seeds differ in the LR at which they diverge, they do by about this, in log LR: 8 to 30%.
_SPREAD, _SPREAD_FACTOR = 0.15, 0.7
#: A standard deviation of the floor's prior so large that it says nothing; on the comparable scale losses span 1.4.
_ANYWHERE = 10.0
_CLIFF = 0.0
_ROUNDING = 1e-13


@dataclass(frozen=True)
class _Shapes:
    """Shapes (k,): where the branches begin, their powers (`_CLIFF`: a step), and how likely each is beforehand."""

    left: Array
    right: Array
    left_power: Array
    right_power: Array
    chance: Array

    def branches(self, at: Array) -> tuple[Array, Array]:
        """Both branches at places (n,), without their heights, (k, n)."""
        before = np.maximum(self.left[:, None] - at, 0.0)
        after = np.maximum(at - self.right[:, None], 0.0)
        power = self.right_power[:, None]
        fall = np.where(self.left_power[:, None] == 1, before, before**2)
        rise = np.where(power == 1, after, np.where(power == _CLIFF, after > 0, after**2))
        return fall, rise

    def taken(self, index: NDArray[np.intp]) -> _Shapes:
        """These shapes only, in this order."""
        return _Shapes(*(each[index] for each in vars(self).values()))

    @property
    def breaks(self) -> NDArray[np.bool_]:
        """(k,): which have a cliff."""
        return np.asarray(self.right_power == _CLIFF)


@dataclass(frozen=True)
class _Design:
    """All shapes on one set of LRs `at` (n,), in units of a gap. `fall`, `rise` (k, n) end at 1; they were divided by
    `fall_end`, `rise_end` (k,), which are 0 where there is no such branch.
    """

    at: Array
    places: int
    shapes: _Shapes
    fall: Array
    rise: Array
    fall_end: Array
    rise_end: Array

    @cached_property
    def products(self) -> tuple[Array, Array, Array]:
        """fall², fall·rise, rise², (k, n)."""
        return self.fall**2, self.fall * self.rise, self.rise**2


@lru_cache(maxsize=8)
def _design(at: tuple[float, ...]) -> _Design:
    """Every shape on these LRs: the same for all that are as far apart."""
    places = next(count for most, count in _PLACES if len(at) <= most)
    x = np.array(at)
    shapes = _every_shape(x, places)
    fall, rise = shapes.branches(x)
    fall_end, rise_end = fall.max(axis=1), rise.max(axis=1)
    fall, rise = (branch / np.where(end > 0, end, 1.0)[:, None] for branch, end in ((fall, fall_end), (rise, rise_end)))
    return _Design(x, places, shapes, fall, rise, fall_end, rise_end)


def _every_shape(x: Array, places: int) -> _Shapes:
    """All pairs of beginnings with all pairs of powers; and those that fall, or rise, all the way."""
    knots = np.append((x[:-1, None] + np.diff(x)[:, None] * np.arange(places) / places).ravel(), x[-1])
    above = x[-1] + np.array([0.5, 1.0, 2.0]) * (x[-1] - x[-2])
    below = x[0] - np.array([2.0, 1.0, 0.5]) * (x[1] - x[0])
    left, right = (each.ravel() for each in np.meshgrid(knots, knots, indexing="ij"))
    wide = left < right
    late, brink = (each.ravel() for each in np.meshgrid(np.append(knots, above), knots, indexing="ij"))
    still = late > brink
    parts = []
    for p in (1.0, 2.0):
        for q in (1.0, 2.0, _CLIFF):
            parts.append((knots, knots, p, q, (1 - _WIDE) / len(knots)))
            parts.append((left[wide], right[wide], p, q, _WIDE / wide.sum()))
    # Still falling where it breaks off; a straight branch is the same as one that ends there.
    parts.append((late[still], brink[still], 2.0, _CLIFF, 1 / still.sum()))
    parts.append((above, np.full(3, x[-1]), 2.0, 1.0, 1 / len(knots) / 3))
    parts.append((np.full(3, x[0]), below, 1.0, 2.0, 1 / len(knots) / 3))
    columns = zip(*(np.broadcast_arrays(*part) for part in parts), strict=True)
    return _Shapes(*(np.concatenate(column).astype(np.float64) for column in columns))


class TwoSided:
    """All shapes, weighed by the means of losses; `draw` takes curves from them."""

    def __init__(self, means: Means) -> None:
        self._means = means
        gap = float(np.median(np.diff(means.x)))
        self._origin, self._gap = float(means.x[0]), gap
        self._design = _design(tuple(np.round((means.x - means.x[0]) / gap, 6).tolist()))
        self._best = float(means.mean.min())
        self._above = means.mean - self._best
        self._alone = means.spare == 0
        pooled = float(np.sqrt(np.mean(means.error**2)))
        sizes, chance = (_NOISE, _NOISE_CHANCE) if self._alone else (_MISFIT * pooled, _MISFIT_CHANCE)
        #: (sizes, n): what a shape may be off by at each LR, squared; of a single seed it is noise.
        self._misfit = sizes[:, None] ** 2 + (_ROUGH * self._above) ** 2
        self._weigh(self._misfit + means.error**2, chance)

    def _weigh(self, variance: Array, chance: Array) -> None:
        """The probability of each shape with each size of the misfit, (k, sizes), and its coefficients."""
        from scipy import special

        design, n = self._design, len(self._above)
        weight = 1 / variance.T  # (n, sizes)
        # A branch is about as high as the loss is at its end.
        high = [self._above[end] + np.sqrt(variance[:, end]) for end in (0, -1)]
        square, product, other = (each @ weight for each in design.products)
        gram = (
            weight.sum(axis=0) + _ANYWHERE**-2, design.fall @ weight, design.rise @ weight,
            square + high[0] ** -2, product, other + high[1] ** -2,
        )  # fmt: skip
        pull = weight * self._above[:, None]
        seen = pull.sum(axis=0), design.fall @ pull, design.rise @ pull
        self._coefficients, self._covariance, volume = _solved(gram, seen)
        explained = sum(each * found for each, found in zip(seen, self._coefficients, strict=True))
        self._rest = np.maximum((pull * self._above[:, None]).sum(axis=0) - explained, 0.0)
        spare = self._means.spare
        fit = -self._rest / 2 if self._alone else -(spare + n) / 2 * np.log1p(self._rest / spare)
        freedom = np.log(volume) / 2 + np.log(high[0] * high[1])
        log = fit - freedom + np.log(weight).sum(axis=0) / 2 + np.log(design.shapes.chance)[:, None] + np.log(chance)
        for end, found, spread in zip(
            (design.fall_end, design.rise_end), self._coefficients[1:], (self._covariance[3], self._covariance[5]),
            strict=True,
        ):  # fmt: skip
            # Branches only rise.
            log += (end > 0)[:, None] * np.log(2 * special.ndtr(found / np.sqrt(spread)) + 1e-12)
        self._chance = np.exp(log - log.max())
        self._chance /= self._chance.sum()

    def draw(self, grid: Array, count: int, rng: np.random.Generator) -> Array:
        """Curves (views, count, grid) that may lie behind the losses, each as often as it is likely.

        There is a second view where trials diverged: few seeds do not tell whether others do so at the same LR, as in
        the first, or at LRs of their own. Where they are seen not to, only the second is left.
        """
        shape, size = np.divmod(rng.choice(self._chance.size, count, p=self._chance.ravel()), self._chance.shape[1])
        scale = self._noise_scale(shape, size, rng)
        height = self._heights(shape, size, scale, rng)
        shapes = self._between_knots(shape, rng)

        def curves(at: Array) -> Array:
            fall, rise = shapes.branches((at - self._origin) / self._gap)
            return height[0][:, None] + height[1][:, None] * fall + height[2][:, None] * rise

        rest = self._unexplained(curves(self._means.x), size, scale, rng)
        cliff = np.where(shapes.breaks, self._origin + shapes.right * self._gap, np.inf)
        found = curves(grid) + _interpolated(self._means.x, rest, grid, cliff)
        lost = self._means.lost
        views = [found] if not ((lost > 0) & (lost < self._means.seeds)).any() else []
        if lost.any():
            views.append(self._frayed(found, grid, shapes, height[2], rng))
        return self._best + np.stack(views)

    def _noise_scale(self, shape: NDArray[np.intp], size: NDArray[np.intp], rng: np.random.Generator) -> Array:
        """How much larger the noise may be than the seeds say."""
        if self._alone:
            return np.ones(len(shape))
        spare, n = self._means.spare, len(self._above)
        scale: Array = np.sqrt((spare + self._rest[shape, size]) / rng.chisquare(spare + n, len(shape)))
        return scale

    def _heights(
        self, shape: NDArray[np.intp], size: NDArray[np.intp], scale: Array, rng: np.random.Generator
    ) -> tuple[Array, Array, Array]:
        """Floor and the branches' factors, as `_Shapes.branches` has them, (count,) each."""
        c00, c01, c02, c11, c12, c22 = (
            np.broadcast_to(each, self._chance.shape)[shape, size] for each in self._covariance
        )
        z = scale * rng.standard_normal((3, len(shape)))
        l00 = np.sqrt(c00)
        l10, l20 = c01 / l00, c02 / l00
        l11 = np.sqrt(np.maximum(c11 - l10**2, 0.0))
        l21 = np.where(l11 > 0, (c12 - l10 * l20) / np.where(l11 > 0, l11, 1.0), 0.0)
        l22 = np.sqrt(np.maximum(c22 - l20**2 - l21**2, 0.0))
        moved = (l00 * z[0], l10 * z[0] + l11 * z[1], l20 * z[0] + l21 * z[1] + l22 * z[2])
        floor, *branches = (each[shape, size] + m for each, m in zip(self._coefficients, moved, strict=True))
        ends = (self._design.fall_end[shape], self._design.rise_end[shape])
        a, b = (
            np.where(end > 0, np.maximum(branch, 0) / np.where(end > 0, end, 1.0), 0.0)
            for branch, end in zip(branches, ends, strict=True)
        )
        return floor, a, b

    def _between_knots(self, shape: NDArray[np.intp], rng: np.random.Generator) -> _Shapes:
        """The shapes, each cliff somewhere between the place where it was tried and the next: losses do not tell."""
        shapes, design = self._design.shapes.taken(shape), self._design
        gaps = np.diff(design.at, append=design.at[-1])
        where = np.clip(np.searchsorted(design.at, shapes.right + 1e-9) - 1, 0, len(gaps) - 1)
        step = gaps[where] / design.places * rng.uniform(0, 1 - 1e-6, len(shape)) * shapes.breaks
        # A straight branch goes on to the cliff.
        along = (shapes.left_power == 1) & (shapes.left == shapes.right) & (design.fall_end[shape] > 0)
        return _Shapes(
            shapes.left + step * along, shapes.right + step, shapes.left_power, shapes.right_power, shapes.chance
        )

    def _unexplained(self, fitted: Array, size: NDArray[np.intp], scale: Array, rng: np.random.Generator) -> Array:
        """What a curve leaves of the means at each LR and is no noise, (count, n)."""
        if self._alone:
            return np.zeros_like(fitted)
        misfit, error = self._misfit[size], self._means.error
        kept = misfit / (misfit + error**2)
        noise = scale[:, None] * np.sqrt(kept) * error * rng.standard_normal(fitted.shape)
        rest: Array = kept * (self._above - fitted) + noise
        return rest

    def _frayed(self, curves: Array, grid: Array, shapes: _Shapes, step: Array, rng: np.random.Generator) -> Array:
        """The curves, with those of cliffs rising before the cliff too: seeds may diverge there.

        If seeds differ by s in where they diverge, the part Φ((x − cliff)/s) of them has at x. Curves are drawn again
        by how likely it then was that as many seeds diverged at each LR as did.
        """
        from scipy import special

        lost, seeds, x = self._means.lost, self._means.seeds, self._means.x
        breaks = np.flatnonzero(shapes.breaks & (step > 0) & (shapes.right < self._design.at[-1]))
        if not len(breaks):
            return curves
        at = (self._origin + shapes.right[breaks] * self._gap)[:, None]
        spread = _SPREAD * np.exp(_SPREAD_FACTOR * rng.standard_normal(at.shape))
        part = np.clip(special.ndtr((x - at) / spread), 1e-6, 1 - 1e-6)
        likely = (lost * np.log(part) + (seeds - lost) * np.log1p(-part)).sum(axis=1)
        weight = np.exp(likely - likely.max())
        again = rng.choice(len(breaks), len(breaks), p=weight / weight.sum())
        early = special.ndtr((grid - at) / spread) * (grid <= at)
        risen = curves[breaks] + np.log1p(early * np.expm1(step[breaks])[:, None])
        frayed = curves.copy()
        frayed[breaks] = risen[again]
        return frayed


def _solved(gram: tuple[Array, ...], seen: tuple[Array, ...]) -> tuple[list[Array], list[Array], Array]:
    """Solution, inverse (its upper triangle by rows) and determinant of symmetric 3×3 systems, by cofactors."""
    a00, a01, a02, a11, a12, a22 = gram
    c00, c01, c02 = a11 * a22 - a12**2, a02 * a12 - a01 * a22, a01 * a12 - a02 * a11
    c11, c12, c22 = a00 * a22 - a02**2, a01 * a02 - a00 * a12, a00 * a11 - a01**2
    # Branches that are all but the same leave it to rounding.
    determinant = np.maximum(a00 * c00 + a01 * c01 + a02 * c02, _ROUNDING * a00 * a11 * a22)
    inverse = [each / determinant for each in (c00, c01, c02, c11, c12, c22)]
    inverse[0], inverse[3], inverse[5] = (np.maximum(inverse[i], 1 / a) for i, a in ((0, a00), (3, a11), (5, a22)))
    i00, i01, i02, i11, i12, i22 = inverse
    b0, b1, b2 = seen
    solution = [i00 * b0 + i01 * b1 + i02 * b2, i01 * b0 + i11 * b1 + i12 * b2, i02 * b0 + i12 * b1 + i22 * b2]
    return solution, inverse, determinant


def _interpolated(x: Array, values: Array, at: Array, cliff: Array) -> Array:
    """Each row of values (rows, n), given at x, on straight lines between; a row's cliff divides them."""
    place = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
    part = np.broadcast_to((at - x[place]) / (x[place + 1] - x[place]), (len(values), len(at)))
    divided = (x[place] <= cliff[:, None]) & (cliff[:, None] < x[place + 1])
    part = np.where(divided, at > cliff[:, None], part)
    between: Array = values[:, place] * (1 - part) + values[:, place + 1] * part
    return between
