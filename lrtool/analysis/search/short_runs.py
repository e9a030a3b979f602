"""Reads probes: short trainings under the config's own schedule, around what a range test says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrtool.analysis.flatness import is_beaten, is_flat
from lrtool.analysis.lr_fit import fit_response
from lrtool.analysis.range_test_result import Caveat, LrEstimate, RangeTestResult

Array = NDArray[np.float64]

#: The best LR falls with the length of training as length^−0.3 (Bjorck et al. 2024, arXiv:2409.19913, find 0.32).
HORIZON = 0.3
#: Where over-fitting bounds it, it falls as 1/length: so much learning, LR times updates, and no more.
_OVERFITTING_HORIZON = 1.0
#: What either power may be off by.
_HORIZON_ERROR = 0.2
#: Parts of the training below which probes do not speak for it.
_SHORT = 1 / 8
#: Standard errors by which the training loss must have come down for probes to show anything; and where the LRs'
#: training losses differ by more than noise, which the same batches show far better.
_LEARNED, _LEARNED_UNLIKE = 4.0, 2.0
#: LRs looked at first, this factor apart: the stability limit times 2⁻¹¹ … 2. Adam's best LR is often a hundredth of
#: its limit, and networks that large LRs leave constant let the limit appear higher still.
LRS, RATIO = 7, 4.0
_HIGHEST = 2.0
#: Caveats of what was read off a ramp; probes measure it.
_OF_THE_RAMP = (Caveat.NOT_EXPLODED, Caveat.FALLS_AT_ONCE)
#: A limit seen under a schedule, in few trainings, may be off by this factor.
_INFERRED = 2.0
#: Of fewer LRs no best one can be told.
_FEWEST = 3
#: Of fewer LRs the middle one is this part of the limit.
_PART = 1 / 8
#: What a training brings its loss down by, as a part of what the best does, if it learned about as much.
_ALIKE = 0.75


@dataclass(frozen=True)
class Probes:
    """Short trainings. `part`: their length as a part of the real training's; `validated`: what `losses` are.

    `lr` (n,), ascending; `losses` (n, seeds): final loss; `first` (seeds, k): training losses before anything
    was learned; `last` (n, seeds): level of the last training losses. NaN where a training diverged, and in
    `first` where it was too short.
    """

    lr: Array
    losses: Array
    first: Array
    last: Array
    part: float
    validated: bool = True
    common: NDArray[np.bool_] | None = None

    @property
    def comparable(self) -> Probes:
        """At the LRs that all seeds were tried with (`common`): one seed's luck elsewhere is no reason to go there."""
        kept = self.common
        if kept is None or kept.sum() < _FEWEST or not np.isfinite(self.losses[kept]).any():
            return self
        return replace(self, lr=self.lr[kept], losses=self.losses[kept], last=self.last[kept], common=None)

    def learned(self, lr: float) -> bool:
        """Whether the mean training loss came down by more than its noise at a probed LR next to `lr`."""
        beside = np.argsort(np.abs(np.log(self.lr / lr)))[:2]
        levels = self.last[beside].mean(axis=1)
        if bool(self._fell(levels).any()):
            return True
        return bool(self._fell(levels, _LEARNED_UNLIKE).any()) and not is_flat(self.last)

    @property
    def begun(self) -> bool:
        """Whether the training loss of every seed came down at some LR; if not, longer probes may show more."""
        trained = self.last[np.isfinite(self.last).all(axis=1)]
        return bool(self._fell(trained).all(axis=1).any())

    @property
    def best(self) -> int:
        """Index of the LR of the least mean final loss with which all seeds trained; 0 where there is none."""
        return int(np.argmin(np.where(np.isfinite(self.losses), self.losses, np.inf).mean(axis=1)))

    @property
    def overfitted(self) -> bool:
        """Whether it is over-fitting that makes LRs above the best worse, not instability.

        The first LR above it that has a higher validation loss for every seed has a lower training loss for every seed.
        """
        if self.losses.shape[1] < 2:
            return False  # of one seed it may well be noise
        worse = (self.losses > self.losses[self.best]).all(axis=1) | ~np.isfinite(self.losses).all(axis=1)
        above = np.flatnonzero(worse[self.best :])
        if not self.validated or not above.size:
            return False
        return bool((self.last[self.best + above[0]] < self.last[self.best]).all())

    def as_much(self, level: float) -> bool:
        """Whether a training whose losses end at this level learned about as much as the best probe."""
        levels = self.last.mean(axis=1)
        known, start = levels[np.isfinite(levels)], self.first[np.isfinite(self.first)]
        if not known.size or not start.size or not bool(self._fell(level)):
            return False
        return bool(start.mean() - level > _ALIKE * (start.mean() - known.min()))

    def _fell(self, level: ArrayLike, errors: float = _LEARNED) -> NDArray[np.bool_]:
        first = self.first[np.isfinite(self.first)]
        if not first.size:
            return np.zeros(np.shape(level), dtype=bool)
        error = first.std() / np.sqrt(first.size)
        return np.asarray(first.mean() - np.asarray(level) > errors * error)


def centre(ramp: RangeTestResult, configured: float, lrs: int = LRS) -> float:
    """The middle of so many LRs to probe; `configured` where the ramp shows no limit."""
    if ramp.stability is None:
        return configured
    if lrs < LRS:
        return float(ramp.stability.value * _PART)
    return float(ramp.stability.value * _HIGHEST / RATIO ** ((LRS - 1) / 2))


def completed(values: Array, asked: NDArray[np.bool_]) -> Array:
    """A table (LRs, seeds) with what trainings that were not asked for would have given, by the first seed's.

    A further seed's value is the first one's, times the median factor by which the two differ at the LRs that both were
    trained at (plus the median difference, where values are not all above 0). The first seed was trained at every LR.
    """
    filled, finite = np.array(values), np.isfinite(values)
    ratios = bool((values[finite] > 0).all())
    first = np.log(values[:, 0]) if ratios else values[:, 0]
    for seed in range(1, values.shape[1]):
        own = np.log(values[:, seed]) if ratios else values[:, seed]
        shared = asked[:, seed] & finite[:, seed] & finite[:, 0]
        guess = first + (float(np.median((own - first)[shared])) if shared.any() else 0.0)
        filled[:, seed] = np.where(asked[:, seed], values[:, seed], np.exp(guess) if ratios else guess)
    return filled


def inferred_limit(ramp: RangeTestResult, probes: Probes) -> RangeTestResult:
    """The range test with the stability limit that probes show which blew up; as it was where none did.

    It lies between the largest LR up to which all trained, and the smallest that did not.
    """
    trained: NDArray[np.bool_] = np.asarray(np.isfinite(probes.losses).all(axis=1))
    first = int(np.argmin(np.append(trained, False)))
    if not 0 < first < len(trained):
        return ramp
    low, high = float(probes.lr[first - 1]), float(probes.lr[first])
    found = LrEstimate(float(np.sqrt(low * high)), low, high).widened(_INFERRED)
    return ramp.limited(found, "the short trainings that blew up")


def with_probes(ramp: RangeTestResult, probes: Probes) -> RangeTestResult:
    """The range test with the suggestion that its probes support; as it was where they support none.

    lr = (least final loss of the probes, by `fit_response`) · part^0.3, or · part where the probes over-fit

    A ramp tries each LR for one step, under no schedule; probes measure what the schedule makes of an LR. They
    are shorter than the real training, which favours LRs that are too large: hence the factor, and an interval wider by
    part^−0.2 either way than the response's own. Where that reaches below the stability limit, but the LR lies above,
    the limit is as good and safer.
    """
    kept = probes.comparable
    # Whether the LR makes any difference is seen over all of them.
    first = probes.losses[:, :1]
    matters = kept is not probes and bool(np.isfinite(first).any()) and not is_flat(first)
    response = fit_response(kept.lr, kept.losses, matters or _disagrees(kept, ramp.suggestion))
    if response.lr is None or response.interval is None or not probes.learned(response.lr):
        return ramp
    overfitted = probes.overfitted
    scale = min(probes.part, 1.0) ** (_OVERFITTING_HORIZON if overfitted else HORIZON)
    measured = LrEstimate.around(response.lr, *response.interval)
    unsure = min(probes.part, 1.0) ** -_HORIZON_ERROR
    suggestion = _stable(measured.scaled(scale), ramp.stability).widened(unsure)
    caveats = tuple(caveat for caveat in ramp.caveats if caveat not in _OF_THE_RAMP)
    return replace(ramp, suggestion=suggestion, reason=None, caveats=(*caveats, *_caveats(probes, overfitted)))


def _disagrees(probes: Probes, suggested: LrEstimate | None) -> bool:
    """Whether a few trainings with one seed speak against an LR more clearly than luck would.

    So few are too few to tell a shape from noise. But where one of them does so much better than that LR itself, not
    to listen to them would be to know better.
    """
    if suggested is None or probes.losses.shape[1] > 1 or not np.isfinite(probes.losses).any():
        return False
    return is_beaten(probes.losses, int(np.abs(np.log(probes.lr / suggested.value)).argmin()))


def _caveats(probes: Probes, overfitted: bool) -> Iterator[Caveat]:
    if overfitted and probes.part < 1:
        yield Caveat.OVERFITTING
    elif probes.part < _SHORT:
        yield Caveat.SHORT_PROBES
    if not probes.validated:
        yield Caveat.NOT_VALIDATED


def _stable(suggestion: LrEstimate, limit: LrEstimate | None) -> LrEstimate:
    if limit is None or not suggestion.low <= limit.value < suggestion.value:
        return suggestion
    return replace(suggestion, value=limit.value)
