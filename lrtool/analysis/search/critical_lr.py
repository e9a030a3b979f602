"""The critical LR: the smallest at which one more of the optimizer's own updates raises the loss.

Pure bookkeeping: which LRs to look at along one update, given the losses before, and what many updates say together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrtool.analysis.range_test_result import LrEstimate

#: Forward passes of one search at most; the loss where it stands is not counted.
PASSES = 10
#: LRs of the first step up or down lie this factor apart, each further factor is twice the one before, …
_FIRST = 2.0
#: … until the critical LR is bracketed; then the bracket is halved until it is as narrow as this.
_NARROW = 1.2
#: Where no look was at a lower loss, the last is at an LR so many times smaller: the search may have begun on the spot.
_BELOW = 4.0
#: The interval holds this part of what single updates say.
_COVERAGE = 0.9
#: Losses that differ by so many roundings are the same.
_ROUNDINGS = 2.0


class CriticalSearch:
    """Brackets the smallest LR at which a step along a fixed direction raises the loss, in at most `PASSES` looks.

    LRs grow (or shrink, where `start` is too large already) by factors of 2, 4, 8, …; then the bracket is halved in
    log LR. A loss that is not finite is a raised one.

    `base`: the loss where the step begins. `rounding`: the relative rounding of a loss.

    >>> search = CriticalSearch(start=0.001, base=1.0)
    >>> while (lr := search.wanted()) is not None:
    ...     search.tell((1 - 10 * lr) ** 2)  # a parabola that is back at its start at 0.2
    >>> found = search.estimate()
    >>> found.low <= 0.2 <= found.high < 1.2 * found.low
    True
    """

    def __init__(self, start: float, base: float, rounding: float = 1e-7) -> None:
        if not (math.isfinite(start) and start > 0):
            raise ValueError(f"the LR to start from is finite and above 0, but got {start!r}")
        self._lr, self._factor = start, _FIRST
        self._base, self._same = base, _ROUNDINGS * rounding * abs(base)
        self._lowers, self._raises = 0.0, math.inf
        self._fell = self._asked_below = False
        self.passes = 0

    def wanted(self) -> float | None:
        """The LR to look at next; None when the critical one is known well enough, or cannot be found."""
        if self.passes >= PASSES or not math.isfinite(self._base):
            return None
        if self._bracketed and self._raises < self._lowers * _NARROW:
            return None if self._fell or self._asked_below else self._lowers / _BELOW
        return self._lr if 0 < self._lr < math.inf else None

    def tell(self, loss: float) -> None:
        """The loss after a step of the LR that was wanted."""
        self.passes += 1
        if self._bracketed and self._raises < self._lowers * _NARROW:
            self._asked_below, self._fell = True, loss < self._base - self._same
            return
        if math.isfinite(loss) and loss <= self._base + self._same:
            self._lowers = self._lr
            self._fell |= loss < self._base - self._same
        else:
            self._raises = self._lr
        if self._bracketed:
            self._lr = math.sqrt(self._lowers * self._raises)
            return
        self._lr = self._lr * self._factor if self._lowers else self._lr / self._factor
        self._factor *= _FIRST

    def estimate(self) -> LrEstimate | None:
        """The middle of the bracket; None where no step raised the loss, or none lowered it."""
        if not (self._bracketed and self._fell):
            return None
        return LrEstimate.around(math.sqrt(self._lowers * self._raises), self._lowers, self._raises)

    @property
    def _bracketed(self) -> bool:
        return self._lowers > 0 and math.isfinite(self._raises)


@dataclass(frozen=True)
class CriticalLook:
    """What one search found: at the update number `step` of a training with this `seed`; None where it found none."""

    seed: int
    step: int
    lr: float | None
    passes: int


@dataclass(frozen=True)
class CriticalLr:
    """The critical LR of a task, over seeds and over some updates of each. `updates`: what was trained for it.

    The first update counts only where no later one was looked at: momentum and running means have not begun there.
    """

    looks: tuple[CriticalLook, ...]
    updates: int = 0

    @property
    def estimate(self) -> LrEstimate | None:
        """The median of what single updates say, and the interval that holds 90% of them; None where most say nothing.

        One update differs from the next far more than a search is unsure, so the interval is no error of the median.
        """
        looks = [look for look in self.looks if look.step > 0] or self.looks
        found = [look.lr for look in looks if look.lr is not None]
        if 2 * len(found) <= len(looks):
            return None
        low, middle, high = np.exp(np.quantile(np.log(found), [(1 - _COVERAGE) / 2, 0.5, (1 + _COVERAGE) / 2]))
        return LrEstimate.around(float(middle), float(low), float(high))

    @property
    def sharpness(self) -> float | None:
        """λ_c = 2/η_c, the curvature of the loss along the optimizer's own update (arXiv:2601.16979)."""
        found = self.estimate
        return None if found is None else 2 / found.value

    @property
    def passes(self) -> int:
        """Forward passes of all searches, that of each search's beginning included."""
        return sum(look.passes + 1 for look in self.looks)


def warm_lr(first: Sequence[CriticalLook], part: float) -> float | None:
    """The LR of the updates between looks: a part of the least that was critical at the first update of a seed."""
    found = [look.lr for look in first if look.lr is not None]
    return min(found) * part if found else None
