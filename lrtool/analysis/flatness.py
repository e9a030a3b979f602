"""Whether losses depend on the LR at all, or differ between LRs only as seeds do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.comparable import Scale

Array = NDArray[np.float64]

#: Losses that do not depend on the LR pass for others about this often.
_RARE = 0.01
#: The same with a single seed, which can show far less.
_RARE_ALONE = 0.05
#: Seeds rarely differ by so much, in log loss: a factor of 1.6. Two LRs side by side that do are more than one's luck.
_MORE_THAN_LUCK = float(np.log(1.6))
#: Orders of the losses that a single seed's own is held against.
_ORDERS = 2000
#: Losses that differ by no more than this part differ by the rounding of single precision.
_SINGLE = 1e-6
_TINY = float(np.finfo(np.float64).tiny)


def is_flat(losses: Array) -> bool:
    """Whether the losses (LRs, seeds) differ between LRs no more than between seeds of one LR.

    Judged by the losses and, where noise differs between LRs, as where only large ones learn at all, by how each seed
    ranks the LRs. A single seed is held against its own roughness along the LRs (rows, ascending).
    """
    if are_the_same(losses):
        return True
    y = _without_ceiling(losses)
    capped = Scale.of(losses).to(losses)
    if y.shape[1] < 2:
        chance = min(_chance_alone(values[:, 0]) for values in (y, capped))
        return chance > _RARE_ALONE and not _has_valley(capped[:, 0])
    return min(_chance(values) for values in (y, capped, _ranks(y))) > _RARE


def is_beaten(losses: Array, row: int) -> bool:
    """Whether the least of a single seed's losses (LRs, 1) is below that of one LR by more than seeds differ by."""
    y = Scale.of(losses).to(losses)[:, 0]
    return bool(y[row] - y.min() > _MORE_THAN_LUCK)


def are_the_same(losses: Array) -> bool:
    """Whether each seed's losses (LRs, seeds) are the same at every LR but for rounding: nothing was left to luck."""
    y = _without_ceiling(losses)
    # Each seed by itself: what its losses differ by from another's says nothing about LRs.
    return bool(np.ptp(y, axis=0).max() <= _SINGLE * max(1.0, float(np.abs(y).max())))


def _without_ceiling(losses: Array) -> Array:
    """The comparable scale with the worst finite loss in place of infinity: how much there is to tell apart."""
    finite = np.isfinite(losses)
    filled = np.where(finite, losses, losses[finite].max())
    return np.log(filled) if (filled > 0).all() else filled


def _has_valley(y: Array) -> bool:
    """Whether two LRs side by side have losses so much lower than most that no seed's luck explains it."""
    low = np.median(y) - y > _MORE_THAN_LUCK
    return bool((low[1:] & low[:-1]).any())


def _chance_alone(y: Array) -> float:
    """How likely noise alone makes one seed's losses so regular along the LRs; 1 where nothing can be judged.

    Either as smooth a curve (two tests, so twice the smaller chance), or as well explained by a parabola.
    """
    return min(1.0, 2 * min(_chance_of_parabola(y), _chance_of_smoothness(y)))


def _chance_of_smoothness(y: Array) -> float:
    """The part of all orders of these losses whose total variation Σ|yᵢ₊₁ − yᵢ| is as small: a permutation test."""
    orders = np.random.default_rng(0).permuted(np.tile(y, (_ORDERS, 1)), axis=1)
    variation = np.abs(np.diff(orders, axis=1)).sum(axis=1)
    limit = float(np.abs(np.diff(y)).sum()) * (1 + _SINGLE)
    return float((1 + (variation <= limit).sum()) / (1 + _ORDERS))


def _chance_of_parabola(y: Array) -> float:
    """How likely noise alone makes a parabola explain so much; 1 where nothing can be judged."""
    from scipy import special

    x, spare = np.linspace(-1, 1, len(y)), len(y) - 3
    if spare < 1:
        return 1.0
    rest = float(np.square(y - np.polyval(np.polyfit(x, y, 2), x)).sum())
    explained = (float(np.square(y - y.mean()).sum()) - rest) / 2
    return float(special.fdtrc(2, spare, explained / max(rest / spare, _TINY)))


def _chance(y: Array) -> float:
    """How likely seeds alone make LRs (rows) differ so much: the F test of a two-way analysis of variance.

    Of ranks it is Friedman's test in the form of Iman & Davenport 1980, which holds for few seeds too.
    """
    from scipy import special

    lrs, seeds = y.shape
    rows = y.mean(axis=1, keepdims=True)
    rest = y - rows - y.mean(axis=0) + y.mean()
    between = seeds * float(np.square(rows - y.mean()).sum()) / (lrs - 1)
    within = float(np.square(rest).sum()) / ((lrs - 1) * (seeds - 1))
    return float(special.fdtrc(lrs - 1, (lrs - 1) * (seeds - 1), between / max(within, _TINY)))


def _ranks(y: Array) -> Array:
    """The rank of each LR (rows) with each seed, equal ones sharing theirs."""
    less, alike = y[:, None] > y[None], y[:, None] == y[None]
    ranks: Array = less.sum(axis=1) + (alike.sum(axis=1) - 1) / 2
    return ranks
