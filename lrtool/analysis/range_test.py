"""Reads a range test: bounds, suggestion, stability limit, each with its evidence, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrtool.analysis.evidence import Evidence, gather
from lrtool.analysis.smoothing import exponential, local_line
from lrtool.analysis.suggest import METHODS, Suggestion, SuggestionMethod
from lrtool.analysis.suggest.stability import LAG, SHORTEST, Stability

Array = NDArray[np.float64]

#: Curves drawn for intervals; the generator's seed is fixed, so that the same test reads the same.
_RESAMPLES = 100
#: The limit read off a ramp differed from that of training at one LR by at most this factor in 9 of 10 cases
#: (16 tasks with a limit, SGD and AdamW, ramps of 100 and 200 steps, against 400 steps at constant LRs).
_RAMP_ERROR = 3.2
#: The best LR differs from that part of the limit which is suggested by at most this factor in 9 of 10 cases.
_PART_ERROR = 8.0
#: The interval holds this part of the resampled answers.
_COVERAGE = 0.9


class Reason(Enum):
    """Why a range test supports no suggestion; the value is the message."""

    TOO_SHORT = f"the test has fewer than {SHORTEST} updates; raise range_test.steps"
    ALL_DIVERGED = (
        f"every seed diverged within {SHORTEST} updates, at the smallest learning rates; lower range_test.start"
    )
    FLAT = (
        "the loss did not change by more than its noise; raise range_test.end,"
        " or use more steps, more seeds or larger batches"
    )
    ONLY_RISING = (
        "the loss never fell by more than its noise before it rose; lower range_test.start,"
        " or use more steps, more seeds or larger batches"
    )
    STILL_FALLING = "the loss had only begun to fall when the test ended; raise range_test.end"
    NO_ANSWER = (
        "the method that range_test.suggest names has no answer for this curve; name another, or leave the key out"
    )


class Caveat(Enum):
    """What to know about a suggestion that was given; the value is the message."""

    NOT_EXPLODED = (
        "the loss did not explode up to the largest learning rate, so the suggestion may be too small;"
        " raise range_test.end to find out"
    )
    ONE_SEED = "with one seed the interval shows the noise within the test, not how much seeds differ"
    OVERFITTING = (
        "in the probes larger LRs had a lower training loss but a higher validation loss (over-fitting); the training"
        " is longer than the probes, so the suggestion was made smaller in proportion; `lrtool tune` measures it"
    )
    SHORT_PROBES = (
        "the training is more than 8 times as long as the probes, and may prefer a smaller LR than they can show;"
        " raise range_test.probe_steps, or measure it with `lrtool tune`"
    )
    NOT_VALIDATED = (
        "there is no validation data, so LRs were judged by training loss, which shows no over-fitting;"
        " raise data.val_fraction"
    )
    ABOVE_LIMIT = (
        "the suggested LR lies above the stability limit, which is that of constant LRs: the schedule may pass through"
        " it, but training at it throughout would break down"
    )


@dataclass(frozen=True)
class Estimate:
    """An LR and the interval (90%) that holds it; ends of 0 and infinity are open.

    What is read off a ramp, or measured by short trainings, has an interval that allows for both noise and that: of the
    suggestion it is meant to hold an LR whose expected loss is within 1% of the best.

    Raises ValueError unless `0 <= low <= value <= high` holds and the LR is a finite number above 0.
    """

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not (0 <= self.low <= self.value <= self.high and 0 < self.value < np.inf):
            raise ValueError(
                "`0 <= low <= value <= high` and `0 < value < inf` must hold,"
                f" but got value={self.value!r}, low={self.low!r}, high={self.high!r}"
            )

    @classmethod
    def around(cls, value: float, low: float, high: float) -> Self:
        """With an interval that reaches at least to the LR itself."""
        return cls(value, min(low, value), max(high, value))

    def scaled(self, factor: float) -> Self:
        """LR and interval times a factor; rounding, or underflow, leaves none outside."""
        return self.around(self.value * factor, self.low * factor, self.high * factor)

    def widened(self, factor: float) -> Self:
        """With an interval so many times as wide either way."""
        return self.around(self.value, self.low / factor, self.high * factor)


@dataclass(frozen=True)
class RangeTestResult:
    """All that a range test shows, with the data of its plot.

    `lr` (steps,); `losses` as given, `smoothed` by a bias-corrected exponential mean, both (seeds,
    steps) and NaN after a seed stopped. `mean` (steps,): robustly smoothed mean over seeds, explosions
    cut off; `band_low` and `band_high` (steps,): lowest and highest of the seeds' own such curves.

    `lower`: where the loss starts to fall. `upper`: where it starts to explode. `suggestion`: a peak LR.
    `stability`: the largest LR that trains without diverging; `analysis.limit` measures it. Read off the ramp
    alone, which tries each LR for one step only, its interval is 3.2 times as wide either way as sampling makes
    it; it ends at infinity if the test ended first. Each is None where the curve does not support it; then
    `reason` says why there is no suggestion. `methods`: what each method says, whatever the evidence. `source`:
    what the suggestion was read off, in words. `chosen`: whether it is a method's that the user chose, which stands
    whatever short trainings show.
    """

    lr: Array
    losses: Array
    smoothed: Array
    mean: Array
    band_low: Array
    band_high: Array
    lower: Estimate | None
    upper: Estimate | None
    suggestion: Estimate | None
    stability: Estimate | None
    methods: Mapping[str, Suggestion]
    reason: Reason | None
    caveats: tuple[Caveat, ...] = ()
    source: str = "the ramp alone"
    chosen: bool = False

    def limited(self, limit: Estimate | None) -> Self:
        """The same with a measured stability limit; the ramp's own suggestion, a part of the limit, follows it."""
        if limit is None or self.suggestion is None:
            return replace(self, stability=limit)
        caveats = self.caveats
        if limit.high < np.inf:
            caveats = tuple(caveat for caveat in caveats if caveat is not Caveat.NOT_EXPLODED)
        suggestion = self.suggestion if self.chosen else _part_of(limit)
        return replace(self, stability=limit, suggestion=suggestion, caveats=caveats)

    def suggesting(self, method: SuggestionMethod) -> Self:
        """The same with another method's answer as the suggestion; none where the loss shows nothing of the LR.

        Its interval spans the seeds' own answers, as many times wider as that of what is read off a ramp.
        """
        said = method.suggest(self.lr, self.losses)
        changed = replace(self, methods={**self.methods, method.kind: said}, chosen=True)
        if self.lower is None:
            return changed
        if said.lr is None or not 0 < said.lr < np.inf:
            return replace(changed, suggestion=None, reason=Reason.NO_ANSWER, caveats=())
        known = said.per_seed[np.isfinite(said.per_seed) & (said.per_seed > 0)]
        ends = (float(known.min()), float(known.max())) if known.size else (said.lr, said.lr)
        found = Estimate.around(said.lr, *ends)
        return replace(
            changed,
            suggestion=found.widened(_PART_ERROR),
            reason=None,
            caveats=_caveats(self.upper is not None, len(self.losses)),
            source=f"the ramp alone, by the method {method.kind}",
        )

    def cautioned(self) -> Self:
        """The same, with what to know of a suggestion that is more than trains stably if it is held."""
        chosen, limit = self.suggestion, self.stability
        if chosen is None or limit is None or chosen.value <= limit.value:
            return self
        return replace(self, caveats=(*self.caveats, Caveat.ABOVE_LIMIT))

    def summary(self) -> dict[str, Any]:
        """The entries of `summary.json`: LRs as numbers or null."""
        return {
            "suggested_lr": self.suggestion and self.suggestion.value,
            "interval": self.suggestion and [_number(self.suggestion.low), _number(self.suggestion.high)],
            "suggested_from": self.source if self.suggestion else None,
            "lower_lr": self.lower and self.lower.value,
            "upper_lr": self.upper and self.upper.value,
            "stability_limit": self.stability and self.stability.value,
            "stability_interval": self.stability and [_number(self.stability.low), _number(self.stability.high)],
            "reason": self.reason and self.reason.value,
            "caveats": [caveat.value for caveat in self.caveats],
            "methods": {
                kind: {"lr": said.lr, "per_seed": [_number(value) for value in said.per_seed.tolist()]}
                for kind, said in self.methods.items()
            },
        }


def analyse(lr: ArrayLike, losses: ArrayLike, smoothing: float = 0.9, resamples: int = _RESAMPLES) -> RangeTestResult:
    """Read a range test.

    `lr`: the LR each update used, shape (steps,), positive and increasing. `losses`: the loss of each
    update, shape (seeds, steps), NaN after a seed stopped. `smoothing`: β of the exponential mean.
    Raises ValueError where the shapes or the LRs are not as described.
    """
    rates, curves = _checked(lr, losses)
    methods = {kind: method(kind=kind).suggest(rates, curves) for kind, method in METHODS.kinds.items()}
    smoothed = exponential(curves, smoothing)
    longest = int(np.isfinite(curves).sum(axis=1).max())
    if longest < SHORTEST:
        nothing = np.full(rates.shape, np.nan)
        why = Reason.TOO_SHORT if len(rates) < SHORTEST else Reason.ALL_DIVERGED
        return RangeTestResult(rates, curves, smoothed, nothing, nothing, nothing, None, None, None, None, methods, why)
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
        methods=methods,
        reason=reason,
        caveats=() if reason else _caveats(evidence.exploded is not None, len(curves)),
    )


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


def _caveats(exploded: bool, seeds: int) -> tuple[Caveat, ...]:
    return (Caveat.NOT_EXPLODED,) * (not exploded) + (Caveat.ONE_SEED,) * (seeds == 1)


def _upper(evidence: Evidence) -> float | None:
    index = evidence.starts_to_explode
    return None if index is None else float(evidence.lr[index])


def _suggestion(evidence: Evidence, estimate: Callable[[_Reader], Estimate | None]) -> Estimate | None:
    found = estimate(Stability().of)
    if found is None or evidence.exploded is not None:
        return found and found.widened(_PART_ERROR)
    # Where the limit was not reached, it is not known how much larger the suggestion should be.
    return Estimate(found.value, found.low / _PART_ERROR, np.inf)


def _stability(evidence: Evidence, estimate: Callable[[_Reader], Estimate | None]) -> Estimate | None:
    found = estimate(lambda e: e.limit(LAG)) if evidence.exploded is not None else None
    if found is not None:
        return found.widened(_RAMP_ERROR)
    return Estimate(float(evidence.lr[-1]), float(evidence.lr[-1]), np.inf) if evidence.falls else None


def _band(evidence: Evidence, longest: int) -> tuple[Array, Array, Array]:
    """Mean level and the span of the seeds' own levels, NaN once every seed has stopped."""
    each = np.array([local_line(row, evidence.span)[0] for row in evidence.capped])
    curves = np.stack([evidence.level, each.min(axis=0), each.max(axis=0)])
    curves[:, longest:] = np.nan
    mean, low, high = curves
    return mean, low, high


def _part_of(limit: Estimate) -> Estimate:
    """The suggestion that a limit allows: a part of it, which differs by task more than the limit is unsure."""
    return limit.scaled(1 / Stability().divide).widened(_PART_ERROR)


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

    def __call__(self, read: _Reader) -> Estimate | None:
        """What `read` finds in the test itself, with the interval of what it finds in resampled tests."""
        value = read(self.evidence)
        if value is None:
            return None
        found = [value, *(lr for lr in map(read, self.resampled) if lr is not None)]
        low, high = np.quantile(found, [(1 - _COVERAGE) / 2, (1 + _COVERAGE) / 2])
        return Estimate.around(value, float(low), float(high))


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None
