"""How final loss responds to the peak LR: a fit through measured (LR, loss) points and what it can tell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Points of the fine log-LR grid on which fits are evaluated, per factor of 10.
_PER_DECADE = 60
_BOOTSTRAPS = 400
#: Neighbours (LRs) that a local quadratic is fitted through: three determine it, five average the noise.
_NEIGHBOURS = 5
#: Losses that do not depend on the LR pass for others about this often.
_RARE = 0.01
#: The same with a single seed, which can show far less.
_RARE_ALONE = 0.05
_ROUNDING = 1e-9
#: Losses that differ by no more than this part differ by the rounding of single precision.
_SINGLE = 1e-6
_TINY = float(np.finfo(np.float64).tiny)
#: Losses are compared on a log scale; beyond this factor of the best they only say "bad".
_CEILING = np.log(4.0)


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
        "the loss does not depend on the LR beyond its noise; raise the budget, data.val_fraction or train.duration,"
        " or see whether any parameter is trained"
    )


@dataclass(frozen=True)
class Response:
    """The fitted response.

    `lr` is the best peak LR and `interval` its 95% interval; `within_noise` the range of LRs that cannot
    be told from the best, which holds the interval; `expected` the fitted loss there. `grid` and `fit` (same
    shape) are the curve.
    `edge` says at which end of the tested LRs the minimum lies, so the caller can look beyond it; the
    interval and the range are then open on that side (0 or infinity).
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


def fit_response(lr: Array, losses: Array, matters: bool = False) -> Response:
    """Locate the LR of least final loss from trials.

    lr: (n,), any order. losses: (n, seeds), NaN or inf where a trial diverged; trials of one column share
    their seed. A local quadratic in log LR is fitted through the losses (their logarithm where all are
    positive), with the seeds' common offsets taken out. Its minimum is located in 400 refits under
    resampled residuals, and the LR chosen has the least loss on average over where the minimum may lie:
    where the loss explodes on one side, the choice keeps away from it, within the interval. `matters`: other
    trials have shown that the loss depends on the LR, so losses that are alike here are no reason for no answer.
    """
    order = np.argsort(lr)
    x, losses = np.log(np.asarray(lr, np.float64)[order]), np.asarray(losses, np.float64)[order]
    finite = np.isfinite(losses)
    grid = _fine_grid(x)
    if not finite.any():
        return _nothing(grid, NoAnswer.ALL_DIVERGED)
    if finite.any(axis=1).sum() < 3:
        return _nothing(grid, NoAnswer.TOO_FEW)
    y, back = _comparable(losses)
    y = _without_seed_offsets(y)
    smooth = _smoother(x, grid)
    at_points = _smoother(x, x)
    means = y.mean(axis=1)
    noise = _noise(y)
    fit = smooth @ means
    minima, refits = _resample(means, at_points @ means, noise / np.sqrt(y.shape[1]), smooth, grid)
    if not matters and _is_flat(losses):
        return Response(None, None, None, None, np.exp(grid), back(fit), None, NoAnswer.FLAT)
    return _located(x, grid, fit, minima, refits, back)


def _located(x: Array, grid: Array, fit: Array, minima: Array, refits: Array, back: _Back) -> Response:
    interval = np.quantile(minima, [0.025, 0.975])
    inside = (grid >= interval[0] - _ROUNDING) & (grid <= interval[1] + _ROUNDING)
    chosen = int(np.argmin(np.where(inside, _averaged(grid, fit, float(minima.std())), np.inf)))
    # A band, not a test at each LR: how much worse than the chosen LR each LR is, over the refits.
    worse = np.quantile(refits - refits[:, [chosen]], 0.05, axis=0)
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
        expected=float(back(fit[[chosen]])[0]),
        grid=np.exp(grid),
        fit=back(fit),
        edge=edge,
    )


def _at_least_half_way(x: Array, chosen: float, interval: Array) -> tuple[float, float]:
    """The interval, reaching at least half way from the LR tried next to the chosen one to those beside it.

    Between LRs that were tried there is only the curve's shape to go by, and refits of it all share its faults.
    """
    near = int(np.argmin(np.abs(x - chosen)))
    low, high = (x[max(0, near - 1)] + x[near]) / 2, (x[min(len(x) - 1, near + 1)] + x[near]) / 2
    return min(float(interval[0]), float(low)), max(float(interval[1]), float(high))


class _Back:
    """The way back from the comparable scale to losses."""

    def __init__(self, logarithmic: bool) -> None:
        self.logarithmic = logarithmic

    def __call__(self, y: Array) -> Array:
        values: Array = np.exp(y) if self.logarithmic else y
        return values


def _comparable(losses: Array) -> tuple[Array, _Back]:
    """Losses on the scale they are compared on, with "bad" as a ceiling instead of infinity."""
    good = losses[np.isfinite(losses)]
    logarithmic = bool((good > 0).all())
    y = np.log(losses, where=np.isfinite(losses), out=np.full_like(losses, np.inf)) if logarithmic else losses
    y = np.where(np.isfinite(y), y, np.inf)
    best = _best_row_mean(y)
    span = _CEILING if logarithmic else max(2.0 * float(np.median(good) - best), np.finfo(float).tiny)
    return np.minimum(y, best + span), _Back(logarithmic)


def _without_ceiling(losses: Array) -> Array:
    """The same scale, with the worst finite loss in place of infinity: how much there is to tell apart."""
    finite = np.isfinite(losses)
    filled = np.where(finite, losses, losses[finite].max())
    return np.log(filled) if (filled > 0).all() else filled


def _best_row_mean(y: Array) -> float:
    return float(y.mean(axis=1).min()) if np.isfinite(y.mean(axis=1)).any() else float(y.min())


def _without_seed_offsets(y: Array) -> Array:
    """Take out what a seed adds at every LR; judged where the loss is good, for there seeds differ by an offset."""
    near = y.mean(axis=1) <= np.quantile(y.mean(axis=1), 0.5)
    offsets = np.median(y[near] - y[near].mean(axis=1, keepdims=True), axis=0)
    shifted: Array = y - (offsets - offsets.mean())
    return shifted


def _noise(y: Array) -> float:
    """Standard deviation of one trial about its LR's mean, pooled over the better half of the LRs."""
    seeds = y.shape[1]
    if seeds < 2:
        return _noise_of_one(y[:, 0])
    near = y.mean(axis=1) <= np.quantile(y.mean(axis=1), 0.5)
    return float(np.sqrt(y[near].var(axis=1, ddof=1).mean()))


def _noise_of_one(y: Array) -> float:
    """The same from a single seed: third differences along the LRs, blind to any parabola, have variance 20σ²."""
    low, high = _contiguous(y <= np.quantile(y, 0.7), int(y.argmin()))
    differences = np.diff(y[low : high + 1], 3)
    return float(np.sqrt(np.mean(differences**2) / 20)) if len(differences) else float(np.std(y[low : high + 1]))


def _is_flat(losses: Array) -> bool:
    """Whether the losses differ between LRs no more than between seeds of one LR.

    Judged by the losses and, where noise differs between LRs, as where only large ones learn at all, by how each seed
    ranks the LRs. A single seed is held against its own roughness along the LRs.
    """
    y = _without_ceiling(losses)
    # Each seed by itself: what its losses differ by from another's says nothing about LRs.
    if np.ptp(y, axis=0).max() <= _SINGLE * max(1.0, float(np.abs(y).max())):
        return True
    capped = _comparable(losses)[0]
    if y.shape[1] < 2:
        return min(_chance_alone(values[:, 0]) for values in (y, capped)) > _RARE_ALONE
    return min(_chance(values) for values in (y, capped, _ranks(y))) > _RARE


def _chance_alone(y: Array) -> float:
    """How likely noise alone makes a parabola explain so much of one seed's losses; 1 where nothing can be judged."""
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


def _fine_grid(x: Array) -> Array:
    decades = np.ptp(x) / np.log(10)
    return np.linspace(x.min(), x.max(), max(2, int(decades * _PER_DECADE) + 1))


def _smoother(x: Array, at: Array) -> Array:
    """Local quadratic regression as a matrix (len(at), len(x)): tricube weights over the nearest LRs."""
    count = min(_NEIGHBOURS, len(x))
    rows = np.empty((len(at), len(x)))
    for i, centre in enumerate(at):
        distance = np.abs(x - centre)
        width = np.sort(distance)[count - 1] * 1.1 + 1e-12
        weight = np.clip(1 - (distance / width) ** 3, 0, None) ** 3 + 1e-9 * (distance <= width)
        design = np.vander((x - centre) / width, 3, increasing=True) * np.sqrt(weight)[:, None]
        rows[i] = np.linalg.pinv(design, rcond=1e-6)[0] * np.sqrt(weight)
    return rows


def _resample(means: Array, fitted: Array, error: float, smooth: Array, grid: Array) -> tuple[Array, Array]:
    """Minima (400,) and curves (400, grid) of refits through fitted values plus noise of the means' size."""
    rng = np.random.default_rng(0)
    # What the curve leaves unexplained near the minimum is uncertainty too, whether noise or shape.
    near = means <= np.quantile(means, 0.5)
    misfit = float(np.sqrt(np.mean((means - fitted)[near] ** 2)))
    scale = max(error, misfit)
    curves = (means + scale * rng.standard_normal((_BOOTSTRAPS, len(means)))) @ smooth.T
    return grid[curves.argmin(axis=1)], curves


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
