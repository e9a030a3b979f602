"""What a range test shows: estimates of LRs, reasons for none, caveats, and the data of its plot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.suggest import Suggestion, SuggestionMethod
from lrtool.analysis.suggest.stability import SHORTEST, Stability

Array = NDArray[np.float64]

#: The best LR differs from that part of the limit which is suggested by at most this factor in 9 of 10 cases.
PART_ERROR = 8.0


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
    ANY_LR = (
        "the loss falls as much whatever the learning rate: from the smallest LR to those that blow up the short"
        " trainings end alike. Something else than this optimizer trains the model, such as an optimizer of its own"
    )
    FEW_UPDATES = (
        "the training has so few updates that no learning rate lowers the loss by more than its noise;"
        " raise train.duration"
    )
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
        "the suggested LR lies above the LR from which trainings at a constant LR blow up: the schedule may pass"
        " through it, but training at it throughout would not work; measure it with `lrtool tune` first"
    )
    FEW_UPDATES = (
        "the training has fewer updates than it takes to tell LRs apart, so the suggestion is a guess;"
        " raise train.duration"
    )
    FALLS_AT_ONCE = (
        "the loss falls from the first update on, at the smallest LR: lower range_test.start; if it falls all the same,"
        " something else than this optimizer trains the model, and the suggestion means nothing"
    )
    NOT_ITS_OWN_GRADIENT = (
        "the loss does not fall along its own gradient, as where two parts are trained against each other or a part is"
        " cut off by detach(): its value then does not say how well training goes, and the suggestion may mean nothing"
    )


@dataclass(frozen=True)
class LrEstimate:
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
class Probe:
    """A short training at one LR that a range test made: how many updates, and the loss it ended with.

    `loss`: that of the validation data where there is any, else the training loss; NaN where it blew up.
    """

    lr: float
    seed: int
    steps: int
    loss: float


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
    whatever short trainings show. `probes`: the short trainings that the suggestion rests on, all that were made.
    `stability_source`: what the limit was read off, in words. `left_out`: what the budget did not hold, in words.
    `critical`: the LR at which one of the optimizer's own updates begins to raise the loss, without any training at it;
    its interval holds 90% of the updates that were looked at.
    """

    lr: Array
    losses: Array
    smoothed: Array
    mean: Array
    band_low: Array
    band_high: Array
    lower: LrEstimate | None
    upper: LrEstimate | None
    suggestion: LrEstimate | None
    stability: LrEstimate | None
    methods: Mapping[str, Suggestion]
    reason: Reason | None
    caveats: tuple[Caveat, ...] = ()
    source: str = "the ramp alone"
    chosen: bool = False
    probes: tuple[Probe, ...] = ()
    stability_source: str = "the ramp alone"
    left_out: tuple[str, ...] = ()
    critical: LrEstimate | None = None

    def limited(self, limit: LrEstimate | None, source: str = "short trainings at constant LRs") -> Self:
        """The same with a measured stability limit; the ramp's own suggestion, a part of the limit, follows it."""
        if limit is None or self.suggestion is None:
            return replace(self, stability=limit, stability_source=source)
        caveats = self.caveats
        if limit.high < np.inf:
            caveats = tuple(caveat for caveat in caveats if caveat is not Caveat.NOT_EXPLODED)
        suggestion = self.suggestion if self.chosen else _part_of(limit)
        return replace(self, stability=limit, suggestion=suggestion, caveats=caveats, stability_source=source)

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
        found = LrEstimate.around(said.lr, *ends)
        return replace(
            changed,
            suggestion=found.widened(PART_ERROR),
            reason=None,
            caveats=ramp_caveats(self.upper is not None, len(self.losses)),
            source=f"the ramp alone, by the method {method.kind}",
        )

    def cautioned(self) -> Self:
        """The same, with what to know of a suggestion that is more than trains stably if it is held."""
        return self.noting(Caveat.ABOVE_LIMIT) if self.above_limit else self

    @property
    def above_limit(self) -> bool:
        """Whether the suggestion is more than trainings at a constant LR bear."""
        chosen, limit = self.suggestion, self.stability
        return chosen is not None and limit is not None and chosen.value > limit.value

    def noting(self, *caveats: Caveat) -> Self:
        """The same with more to know about the suggestion, where there is one."""
        if self.suggestion is None:
            return self
        return replace(self, caveats=tuple(dict.fromkeys((*self.caveats, *caveats))))

    def unanswered(self, reason: Reason) -> Self:
        """The same without a suggestion."""
        return replace(self, suggestion=None, reason=reason, caveats=())

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
            "stability_from": self.stability_source if self.stability else None,
            "critical_lr": self.critical and self.critical.value,
            "critical_interval": self.critical and [_number(self.critical.low), _number(self.critical.high)],
            "critical_sharpness": self.critical and 2 / self.critical.value,
            "left_out": list(self.left_out),
            "reason": self.reason and self.reason.value,
            "caveats": [caveat.value for caveat in self.caveats],
            "methods": {
                kind: {"lr": said.lr, "per_seed": [_number(value) for value in said.per_seed.tolist()]}
                for kind, said in self.methods.items()
            },
        }


def _part_of(limit: LrEstimate) -> LrEstimate:
    """The suggestion that a limit allows: a part of it, which differs by task more than the limit is unsure."""
    return limit.scaled(1 / Stability().divide).widened(PART_ERROR)


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def ramp_caveats(exploded: bool, seeds: int) -> tuple[Caveat, ...]:
    """What to know about what is read off a ramp of so many seeds."""
    return (Caveat.NOT_EXPLODED,) * (not exploded) + (Caveat.ONE_SEED,) * (seeds == 1)
