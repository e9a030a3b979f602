"""The refined schedule: the one that theory holds best for the gradient norms that a run had."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrtool.errors import UsageError

Array = NDArray[np.float64]

#: The median filter is this part of the run wide.
_WIDTH = 0.1


def refined_schedule(grad_norms: ArrayLike, power: float = 2.0, smooth: bool = True) -> Array:
    """The schedule that minimises the convergence bound for measured gradient norms, as parts of its peak, (T,).

    η_t ∝ w_t·Σ_{p>t} w_p,  w_t = G_t^(−power),  t = 1 … T

    G (T,): norms of the gradients, smoothed by a median filter of width 2⌊0.1·T/2⌋ + 1 with reflected ends. power: 2
    with L2 norms, for SGD; 1 with L1 norms, for Adam. Constant norms give a linear decay to 0; norms that fall make a
    warm-up and a faster decay. One update has the peak.

    >>> refined_schedule(np.ones(5)).tolist()
    [1.0, 0.75, 0.5, 0.25, 0.0]

    Raises UsageError where norms are not finite, or 0.

    Source: Defazio et al. 2023, arXiv:2310.07831, theorem 3 and algorithm 1.
    """
    norms = np.asarray(grad_norms, dtype=np.float64)
    if norms.ndim != 1 or not norms.size or not np.isfinite(norms).all() or (norms < 0).any():
        raise UsageError("gradient norms are finite and at least 0, one for each update", where="gradient norms")
    smoothed = _median(norms) if smooth else norms
    if (smoothed == 0).any():
        first = int(np.flatnonzero(smoothed == 0)[0])
        raise UsageError(
            f"gradients are 0 from about update {first} on: no LR is the best there",
            where="gradient norms",
            remedy="give a run that still learns",
        )
    # Relative to the least, lest powers overflow.
    weights = np.exp(-power * (np.log(smoothed) - np.log(smoothed).min()))
    after = np.concatenate([np.cumsum(weights[::-1])[::-1][1:], [0.0]])
    rates = weights * after
    highest = float(rates.max())
    return rates / highest if highest > 0 else np.ones_like(rates)


def _median(norms: Array) -> Array:
    from scipy.ndimage import median_filter

    out: Array = median_filter(norms, 2 * int(_WIDTH * len(norms) / 2) + 1, mode="reflect")
    return out
