"""The LR response of each variant of a comparison: its metric as a function of the learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrtool.comparison.comparability import LR, differing_keys
from lrtool.comparison.outcomes import Outcome, as_text
from lrtool.comparison.variants import Variant, label, metric_value, variant_keys

Array = NDArray[np.float64]

_RESAMPLES = 400


@dataclass(frozen=True)
class LrResponse:
    """Final values of one variant by LR: `lr` (n,), ascending, `values` (n, seeds), NaN where not trained or diverged.

    `diverged` (n,): seeds that diverged at each LR.
    """

    name: str
    lr: Array
    values: Array
    diverged: NDArray[np.int64]

    @property
    def mean(self) -> Array:
        """(n,): over the seeds, NaN where none was trained or one diverged, for then the mean flatters."""
        known = np.isfinite(self.values)
        total = np.where(known, self.values, 0.0).sum(axis=1)
        seen = known.sum(axis=1)
        return np.where((seen > 0) & (self.diverged == 0), total / np.maximum(seen, 1), np.nan)


def lr_responses(
    outcomes: Sequence[Outcome], metric: str, variants: Sequence[Variant], by: Sequence[str] = ()
) -> list[LrResponse]:
    """One response per variant, in the variants' order, of those trained at more than one LR.

    Where a variant's outcomes differ in more than the LR, those count that have the settings it was chosen with. Where
    the variants are the LRs themselves they are one response without a name.
    """
    differing = differing_keys(outcomes)
    if LR not in differing:
        return []
    keys, others = variant_keys(outcomes, differing, by)
    keys, others = [key for key in keys if key != LR], [key for key in others if key != LR]
    chosen: dict[str, list[str]] = {}
    for variant in variants:
        first = next(iter(variant.outcomes.values()))
        chosen.setdefault(label(first, keys), _settings(first, others))
    found: dict[str, dict[float, dict[int, float]]] = {name: {} for name in chosen}
    lost: dict[str, dict[float, int]] = {name: {} for name in chosen}
    for outcome in outcomes:
        name, lr = label(outcome, keys), float(outcome.flat.get(LR) or 0.0)
        if name in chosen and lr > 0 and _settings(outcome, others) == chosen[name]:
            found[name].setdefault(lr, {})[outcome.seed] = metric_value(outcome, metric)
            lost[name][lr] = lost[name].get(lr, 0) + outcome.diverged
    return [_response(name, found[name], lost[name]) for name in chosen if len(found[name]) > 1]


def _settings(outcome: Outcome, keys: Sequence[str]) -> list[str]:
    return [as_text(outcome.flat.get(key)) for key in keys]


def _response(name: str, by_lr: dict[float, dict[int, float]], lost: dict[float, int]) -> LrResponse:
    lrs = sorted(by_lr)
    seeds = sorted({seed for each in by_lr.values() for seed in each})
    values = np.array([[by_lr[lr].get(seed, np.nan) for seed in seeds] for lr in lrs])
    return LrResponse(name, np.array(lrs), values, np.array([lost[lr] for lr in lrs]))


@dataclass(frozen=True)
class Tolerance:
    """The LRs around the best whose mean is within a part of it: `low` … `high`, `factor` = high/low.

    `interval` is the 95% interval of the factor, over resampled seeds; None with one seed. `open`: whether the range
    reaches an end of the LRs that were trained, so that the factor is at least this.
    """

    low: float
    high: float
    factor: float
    interval: tuple[float, float] | None
    open: bool


def tolerance(response: LrResponse, higher_is_better: bool, part: float = 0.1) -> Tolerance | None:
    """How far the LR may be off; between LRs the mean is interpolated in the logarithm of the LR.

    An LR at which a seed diverged is out of range. None where every LR diverged. Source of the interval: Efron 1979.
    """
    values = np.where(response.diverged[:, None] > 0, np.nan, response.values)
    found = _range(response.lr, values.mean(axis=1), higher_is_better, part)
    if found is None:
        return None
    low, high, reaches = found
    seeds = values.shape[1]
    interval = None
    if seeds > 1:
        drawn = np.random.default_rng(0).integers(seeds, size=(_RESAMPLES, seeds))
        ranges = [_range(response.lr, values[:, each].mean(axis=1), higher_is_better, part) for each in drawn]
        ends = np.quantile([each[1] / each[0] for each in ranges if each is not None], [0.025, 0.975])
        interval = (float(ends[0]), float(ends[1]))
    return Tolerance(low, high, high / low, interval, reaches)


def _range(lr: Array, mean: Array, higher_is_better: bool, part: float) -> tuple[float, float, bool] | None:
    if not np.isfinite(mean).any():
        return None
    worse = -mean if higher_is_better else mean
    best = int(np.nanargmin(worse))
    limit = worse[best] + part * abs(worse[best])
    ends, reaches = [], False
    for step in (-1, 1):
        at = best
        while 0 <= at + step < len(lr) and worse[at + step] <= limit:
            at += step
        beyond = at + step
        if not 0 <= beyond < len(lr):
            reaches = True
            ends.append(float(lr[at]))
        elif np.isfinite(worse[beyond]):
            share = (limit - worse[at]) / (worse[beyond] - worse[at])
            ends.append(float(lr[at] * (lr[beyond] / lr[at]) ** share))
        else:
            ends.append(float(lr[at]))
    return ends[0], ends[1], reaches
