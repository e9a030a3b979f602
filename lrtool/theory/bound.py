"""The last-iterate convergence bound of (sub)gradient descent under any schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrtool.errors import UsageError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LastIterateBound:
    """The bound of a shape s for every peak γ: Ω(γ) = first/γ + rest·γ, and where it is least.

    `first`: D²/(2Σ s_t), in loss × LR; `rest`: the two terms of the gradients, in loss / LR. `steps`: updates up to
    the last one whose LR is above 0, as nothing moves after it.
    """

    first: float
    rest: float
    steps: int

    @property
    def gamma(self) -> float:
        """The peak LR with the least bound, γ* = √(first/rest)."""
        return math.sqrt(self.first / self.rest)

    @property
    def omega(self) -> float:
        """The least bound, Ω* = 2√(first·rest)."""
        return 2 * math.sqrt(self.first * self.rest)

    def at(self, gamma: float) -> float:
        """The bound for this peak LR."""
        return self.first / gamma + self.rest * gamma


def last_iterate_bound(shape: ArrayLike, grad_norms: ArrayLike = 1.0, distance: float = 1.0) -> LastIterateBound:
    """The bound on the expected suboptimality of the last of T iterates, in O(T).

    Ω_T = D²/(2Σ_t η_t) + Σ_t η_t²G_t²/(2Σ_t η_t) + ½ Σ_{k<T} [η_k / Σ_{t>k} η_t]·[Σ_{t≥k} η_t²G_t² / Σ_{t≥k} η_t]

    η_t = γ·s_t, t = 1 … T: the LR of update t; `shape` s (T,): parts of the peak. G_t: bounds on the gradients' norms,
    one number or (T,). D: `distance` from the first iterate to a minimiser. It holds for convex functions. Updates at
    LR 0 move nothing: those at the end are left out, and the sums over what follows are then above 0.

    >>> bound = last_iterate_bound(1 - np.arange(400) / 400)
    >>> round(bound.gamma, 5), round(bound.omega, 5)
    (0.04956, 0.10063)

    Raises UsageError where the shape is empty, negative, not finite or nowhere above 0, or G or D cannot be norms.

    Source: Schaipp et al. 2025, arXiv:2501.18965, after Theorem 10 of Defazio et al. 2023, arXiv:2310.07831.
    """
    rates, norms = _checked(shape, grad_norms)
    if not (math.isfinite(distance) and distance > 0):
        raise UsageError(f"a distance is a finite number above 0, but got {distance!r}", where="distance")
    first, rest = _terms(rates, (rates * norms) ** 2)
    if rest == 0:
        raise UsageError(
            "every gradient norm at an LR above 0 is 0, so that no LR is too large", where="gradient norms"
        )
    return LastIterateBound(distance**2 * first, rest, len(rates))


def bound_over_time(rates: ArrayLike, at: ArrayLike, grad_norms: ArrayLike = 1.0, distance: float = 1.0) -> Array:
    """The bound after each of the `at` first updates, (len(at),), for LRs η (T,): as if the run stopped there.

    Infinite where no LR has been above 0 yet. Raises as `last_iterate_bound` does.
    """
    found, norms = _checked(rates, grad_norms)
    squares = (found * norms) ** 2
    out = np.full(np.shape(at), np.inf)
    for place, steps in enumerate(np.atleast_1d(np.asarray(at, dtype=int))):
        moving = np.flatnonzero(found[:steps])
        if moving.size:
            end = int(moving[-1]) + 1
            first, rest = _terms(found[:end], squares[:end])
            out[place] = distance**2 * first + rest
    return out


def _terms(rates: Array, squares: Array) -> tuple[float, float]:
    """1/(2Σ η), and both terms of the gradients; the last rate is above 0.

    Sums over the end of the run are added up from the end: as differences of sums from the start they would drown.
    """
    after = np.cumsum(rates[::-1])[::-1]
    moved = np.cumsum(squares[::-1])[::-1]
    last = float(np.sum(rates[:-1] / after[1:] * (moved[:-1] / after[:-1])))
    return 1 / (2 * float(after[0])), float(moved[0] / after[0]) / 2 + last / 2


def _checked(rates: ArrayLike, grad_norms: ArrayLike) -> tuple[Array, Array]:
    """LRs up to the last that is above 0, and the gradient norms of these updates."""
    found = np.asarray(rates, dtype=np.float64)
    if found.ndim != 1 or not np.isfinite(found).all() or (found < 0).any() or not (found > 0).any():
        raise UsageError(
            "the bound needs LRs that are finite, at least 0 and somewhere above 0",
            where="schedule",
            remedy="give a schedule that trains",
        )
    norms = np.asarray(grad_norms, dtype=np.float64)
    if norms.ndim and norms.shape != found.shape:
        raise UsageError(f"there are {norms.size} gradient norms, but {found.size} updates", where="gradient norms")
    if not np.isfinite(norms).all() or (norms < 0).any():
        raise UsageError("gradient norms are finite and at least 0", where="gradient norms")
    end = int(np.flatnonzero(found)[-1]) + 1
    return found[:end], np.broadcast_to(norms, found.shape)[:end]
