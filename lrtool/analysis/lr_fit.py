"""How final loss responds to the peak LR: the curves that measured (LR, loss) points allow, and what they tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.comparable import Scale, means
from lrtool.analysis.flatness import is_flat
from lrtool.analysis.two_sided import TwoSided

Array = NDArray[np.float64]

#: Points of the fine log-LR grid on which curves are evaluated, per factor of 10.
_PER_DECADE = 60
_CURVES = 400
#: The LR chosen must be good within this, in log LR, too: beside it the loss may rise steeply.
_CARE = 0.1
_ROUNDING = 1e-9
#: Losses of which the square is 0 are 0: their spread could be no scale of anything.
_SQUARE_VANISHES = 1e-150


class NoAnswer(Enum):
    """Why the points name no best LR; the text is the message."""

    ALL_DIVERGED = (
        "every trial diverged or gave a non-finite loss; look for NaN or infinite values in the model and the data,"
        " or start from a smaller optimizer.lr"
    )
    TOO_FEW = (
        "fewer than three LRs gave a finite loss, so no minimum can be located; raise the budget,"
        " or start from a smaller optimizer.lr"
    )
    FLAT = (
        "these trials show no difference between LRs beyond their noise, as where the budget is small or the training"
        " short; raise the budget, data.val_fraction or train.duration, or see whether any parameter is trained"
    )


@dataclass(frozen=True)
class Response:
    """What the losses say.

    `lr` is the best peak LR and `interval` its 95% interval; `within_noise` the range of LRs that cannot
    be told from the best, which holds the interval; `expected` the expected loss there. `grid` and `fit` (same
    shape) are the expected loss over LR.
    `edge` says at which end of the tested LRs the minimum lies, so the caller can look beyond it; the
    interval and the range are then open on that side (0 or infinity).
    `lost_seeds` diverged at every LR: they say nothing of the LR, and the expected loss is that of the others.
    All three LRs are None where `reason` says that nothing can be concluded.
    """

    lr: float | None
    interval: tuple[float, float] | None
    within_noise: tuple[float, float] | None
    expected: float | None
    grid: Array
    fit: Array
    edge: str | None = None
    reason: NoAnswer | None = None
    lost_seeds: int = 0


def fit_response(lr: Array, losses: Array, matters: bool = False) -> Response:
    """Locate the LR of least expected final loss from trials.

    lr: (n,), any order. losses: (n, seeds), NaN or inf where a trial diverged, which counts as 4 times the best loss;
    trials of one column share their seed. The mean losses, with the seeds' common offsets taken out, are explained by
    shapes of two sides (`two_sided`), which need not be parabolas. 400 curves are drawn from these as often as seeds
    and trials make them likely: the LR chosen has the least loss on average over the curves, and the interval holds the
    minima of 95% of them. `matters`: other trials have shown that the loss depends on the LR, so losses that are alike
    here are no reason for no answer.
    """
    order = np.argsort(lr)
    x, losses = np.log(np.asarray(lr, np.float64)[order]), np.asarray(losses, np.float64)[order]
    losses = np.where(np.abs(losses) < _SQUARE_VANISHES, 0.0, losses)
    finite = np.isfinite(losses)
    grid = _fine_grid(x)
    if not finite.any():
        return _nothing(grid, NoAnswer.ALL_DIVERGED)
    if finite.any(axis=1).sum() < 3:
        return _nothing(grid, NoAnswer.TOO_FEW)
    lost_seeds = int((~finite.any(axis=0)).sum())
    losses = losses[:, finite.any(axis=0)]
    scale = Scale.of(losses)
    known = means(x, losses, scale)
    curves = TwoSided(known).draw(grid, _CURVES, np.random.default_rng(0))
    # Between LRs a branch may go on falling, but nothing was ever seen below the least that the losses bear.
    curves = np.maximum(curves, known.least)
    if not matters and is_flat(losses):
        fit = scale.back(curves.mean(axis=(0, 1)))
        return Response(None, None, None, None, np.exp(grid), fit, None, NoAnswer.FLAT, lost_seeds)
    return replace(_located(x, grid, curves, scale), lost_seeds=lost_seeds)


def _located(x: Array, grid: Array, curves: Array, scale: Scale) -> Response:
    # Where a curve is flat, its minimum may be anywhere on the floor.
    ties = np.random.default_rng(1).random(curves.shape) * _ROUNDING
    minima = grid[(curves + ties).argmin(axis=2)]
    fit = curves.mean(axis=(0, 1))
    # It holds under each view, and a minimum lies anywhere between its neighbours on the grid.
    ends = np.quantile(minima, [0.025, 0.975], axis=1)
    interval = np.array([ends[0].min(), ends[1].max()]) + np.array([-0.5, 0.5]) * (grid[1] - grid[0])
    inside = (grid >= interval[0] - _ROUNDING) & (grid <= interval[1] + _ROUNDING)
    care = float(np.hypot(_CARE, minima.std() / 2))
    # Where trials diverged, others may do so at smaller LRs: the last view.
    chosen = int(np.argmin(np.where(inside, _averaged(grid, curves[-1].mean(axis=0), care), np.inf)))
    # A band, not a test at each LR: how much worse than the chosen LR each LR is, over the curves.
    all_curves = curves.reshape(-1, len(grid))
    worse = np.quantile(all_curves - all_curves[:, [chosen]], 0.05, axis=0)
    low, high = _contiguous(worse <= 0, chosen)
    sure = _at_least_half_way(x, float(grid[chosen]), interval)
    alike = min(sure[0], float(grid[low])), max(sure[1], float(grid[high]))
    edge = "low" if fit.argmin() == 0 else "high" if fit.argmin() == len(fit) - 1 else None
    # Beyond an edge nothing is known, so an interval is open there.
    open_low, open_high = edge == "low", edge == "high"
    return Response(
        lr=float(np.exp(grid[chosen])),
        interval=(0.0 if open_low else float(np.exp(sure[0])), np.inf if open_high else float(np.exp(sure[1]))),
        within_noise=(0.0 if open_low else float(np.exp(alike[0])), np.inf if open_high else float(np.exp(alike[1]))),
        expected=float(scale.back(fit[[chosen]])[0]),
        grid=np.exp(grid),
        fit=scale.back(fit),
        edge=edge,
    )


def _at_least_half_way(x: Array, chosen: float, interval: Array) -> tuple[float, float]:
    """The interval, reaching at least half way from the LR tried next to the chosen one to those beside it.

    Between LRs that were tried there is only the curve's shape to go by, and no shape is sure to be the right one.
    """
    near = int(np.argmin(np.abs(x - chosen)))
    low, high = (x[max(0, near - 1)] + x[near]) / 2, (x[min(len(x) - 1, near + 1)] + x[near]) / 2
    return min(float(interval[0]), float(low)), max(float(interval[1]), float(high))


def _fine_grid(x: Array) -> Array:
    decades = np.ptp(x) / np.log(10)
    return np.linspace(x.min(), x.max(), max(2, int(decades * _PER_DECADE) + 1))


def _averaged(grid: Array, fit: Array, width: float) -> Array:
    """The fit averaged over a normal error of the LR (in log LR) of this width; beyond an end it is as there."""
    gap = float(grid[1] - grid[0])
    if width < gap / 10:
        # Nothing to average over, and rounding would decide what little weight there is.
        return fit
    more = int(np.ceil(3 * width / gap))
    wide = np.arange(-more, len(grid) + more) * gap + grid[0]
    kernel = np.exp(-0.5 * ((grid[:, None] - wide[None, :]) / width) ** 2)
    averaged: Array = kernel @ np.pad(fit, more, mode="edge") / kernel.sum(axis=1)
    return averaged


def _contiguous(mask: NDArray[np.bool_], inside: int) -> tuple[int, int]:
    """First and last index of the run of True around `inside`."""
    low = high = inside
    while low > 0 and mask[low - 1]:
        low -= 1
    while high < len(mask) - 1 and mask[high + 1]:
        high += 1
    return low, high


def _nothing(grid: Array, reason: NoAnswer) -> Response:
    return Response(None, None, None, None, np.exp(grid), np.full_like(grid, np.nan), None, reason)
