"""Reads a range test: bounds, suggestion, stability limit, each with its evidence, or why there is none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from lrtool.analysis.evidence import Evidence, gather
from lrtool.analysis.range_test_result import (
    PART_ERROR,
    Array,
    Caveat,
    LrEstimate,
    RangeTestResult,
    Reason,
    ramp_caveats,
)
from lrtool.analysis.smoothing import exponential, local_line
from lrtool.analysis.suggest import METHODS
from lrtool.analysis.suggest.stability import LAG, SHORTEST, Stability

#: Curves drawn for intervals; the generator's seed is fixed, so that the same test reads the same.
_RESAMPLES = 100
#: The limit read off a ramp differed from that of training at one LR by at most this factor in 9 of 10 cases
#: (16 tasks with a limit, SGD and AdamW, ramps of 100 and 200 steps, against 400 steps at constant LRs).
_RAMP_ERROR = 3.2
#: A loss that falls within this part of the ramp, in log LR, falls at once.
_AT_ONCE = 0.1
#: The interval holds this part of the resampled answers.
_COVERAGE = 0.9


def analyse(
    lr: ArrayLike, losses: ArrayLike, smoothing: float = 0.9, resamples: int = _RESAMPLES, methods: bool = False
) -> RangeTestResult:
    """Read a range test.

    `lr`: the LR each update used, shape (steps,), positive and increasing. `losses`: the loss of each
    update, shape (seeds, steps), NaN after a seed stopped. `smoothing`: β of the exponential mean. `methods`:
    whether to ask other tools' methods, too. Raises ValueError where the shapes or the LRs are not as described.
    """
    rates, curves = _checked(lr, losses)
    kinds = METHODS.kinds.items() if methods else ()
    said = {kind: method(kind=kind).suggest(rates, curves) for kind, method in kinds}
    smoothed = exponential(curves, smoothing)
    longest = int(np.isfinite(curves).sum(axis=1).max())
    if longest < SHORTEST:
        nothing = np.full(rates.shape, np.nan)
        why = Reason.TOO_SHORT if len(rates) < SHORTEST else Reason.ALL_DIVERGED
        return RangeTestResult(rates, curves, smoothed, nothing, nothing, nothing, None, None, None, None, said, why)
    evidence = gather(rates, curves)
    mean, band_low, band_high = _band(evidence, longest)
    reason = _reason(evidence)
    estimate = _Estimator(evidence, resamples)
    return RangeTestResult(
        lr=rates,
        losses=curves,
        smoothed=smoothed,
        mean=mean,
        band_low=band_low,
        band_high=band_high,
        lower=estimate(lambda e: float(e.lr[e.starts_to_fall])) if evidence.falls else None,
        upper=estimate(_upper),
        suggestion=None if reason else _suggestion(evidence, estimate),
        stability=_stability(evidence, estimate),
        methods=said,
        reason=reason,
        caveats=() if reason else (*ramp_caveats(evidence.exploded is not None, len(curves)), *_at_once(evidence)),
    )


def _at_once(evidence: Evidence) -> tuple[Caveat, ...]:
    """The caveat of a loss that falls while the LR is still about the smallest one."""
    whole = float(np.log(evidence.lr[-1] / evidence.lr[0]))
    part = float(np.log(evidence.lr[evidence.starts_to_fall] / evidence.lr[0])) / whole
    return (Caveat.FALLS_AT_ONCE,) if part < _AT_ONCE else ()


def _checked(lr: ArrayLike, losses: ArrayLike) -> tuple[Array, Array]:
    rates, curves = np.asarray(lr, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if rates.ndim != 1 or curves.ndim != 2 or curves.shape[1:] != rates.shape or not curves.size:
        raise ValueError(
            f"lr has shape (steps,) and losses (seeds, steps), neither empty, but got {rates.shape} and {curves.shape}"
        )
    if not (np.isfinite(rates).all() and rates[0] > 0 and (np.diff(rates) > 0).all()):
        raise ValueError("the LRs of a range test are finite, above 0 and increasing, but got others")
    # A loss after the first non-finite one says nothing about training.
    dead = np.logical_or.accumulate(~np.isfinite(curves), axis=1)
    return rates, np.where(dead, np.nan, curves)


def _reason(evidence: Evidence) -> Reason | None:
    if not evidence.falls:
        return Reason.FLAT if evidence.exploded is None else Reason.ONLY_RISING
    return Reason.STILL_FALLING if Stability().of(evidence) is None else None


def _upper(evidence: Evidence) -> float | None:
    index = evidence.starts_to_explode
    return None if index is None else float(evidence.lr[index])


def _suggestion(evidence: Evidence, estimate: Callable[[_Reader], LrEstimate | None]) -> LrEstimate | None:
    found = estimate(Stability().of)
    if found is None or evidence.exploded is not None:
        return found and found.widened(PART_ERROR)
    # Where the limit was not reached, it is not known how much larger the suggestion should be.
    return LrEstimate(found.value, found.low / PART_ERROR, np.inf)


def _stability(evidence: Evidence, estimate: Callable[[_Reader], LrEstimate | None]) -> LrEstimate | None:
    found = estimate(lambda e: e.limit(LAG)) if evidence.exploded is not None else None
    if found is not None:
        return found.widened(_RAMP_ERROR)
    return LrEstimate(float(evidence.lr[-1]), float(evidence.lr[-1]), np.inf) if evidence.falls else None


def _band(evidence: Evidence, longest: int) -> tuple[Array, Array, Array]:
    """Mean level and the span of the seeds' own levels, NaN once every seed has stopped."""
    each = np.array([local_line(row, evidence.span)[0] for row in evidence.capped])
    curves = np.stack([evidence.level, each.min(axis=0), each.max(axis=0)])
    curves[:, longest:] = np.nan
    mean, low, high = curves
    return mean, low, high


_Reader = Callable[[Evidence], "float | None"]


class _Estimator:
    """Intervals by resampling seeds, with the signs of each seed's residuals drawn at random.

    The second (a wild bootstrap) keeps the size that the noise has at each LR, and gives a single seed
    an interval too. Sources: Efron 1979; Wu 1986, "Jackknife, bootstrap and other resampling methods".
    """

    def __init__(self, evidence: Evidence, resamples: int) -> None:
        self.evidence = evidence
        generator = np.random.default_rng(0)
        levels = np.array([local_line(row, evidence.span)[0] for row in evidence.capped])
        residuals = evidence.capped - levels
        self.resampled = []
        for _ in range(resamples):
            seeds = generator.integers(len(levels), size=len(levels))
            signs = generator.choice([-1.0, 1.0], size=levels.shape)
            self.resampled.append(gather(evidence.lr, levels[seeds] + signs * residuals[seeds]))

    def __call__(self, read: _Reader) -> LrEstimate | None:
        """What `read` finds in the test itself, with the interval of what it finds in resampled tests."""
        value = read(self.evidence)
        if value is None:
            return None
        found = [value, *(lr for lr in map(read, self.resampled) if lr is not None)]
        low, high = np.quantile(found, [(1 - _COVERAGE) / 2, (1 + _COVERAGE) / 2])
        return LrEstimate.around(value, float(low), float(high))
