"""When a training has diverged: soon after the loss of a range test explodes, or where a whole training breaks down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from lrtool.analysis.breakdown import EARLIEST, breakdown
from lrtool.analysis.explosion import RANGE_TEST, DivergenceMonitor, DivergenceRule
from lrtool.analysis.history import History

__all__ = ["RANGE_TEST", "TRAINING", "DivergenceMonitor", "DivergenceRule", "Monitor", "Rule", "first_divergence"]

#: Updates between two looks at a whole training: a sixteenth of it, but within these.
_LOOKS = (4, 256)


class Monitor(Protocol):
    """Interface of what watches a loss, piece by piece, for the step at which it has diverged."""

    reason: str

    def update(self, losses: ArrayLike) -> int | None:
        """Take the next losses, shape (chunk,); the index of the step that settled it, or None so far.

        The index counts from the first loss ever given. Once diverged, later losses change nothing.
        """

    def finish(self) -> int | None:
        """There will be no more losses: as `update`, now that nothing can come back any more."""


class Rule(Protocol):
    """Interface of what says when a loss has diverged."""

    def monitor(self) -> Monitor:
        """A watch over one loss."""


@dataclass(frozen=True)
class TrainingRule:
    """A training has diverged where the shape of its whole loss says that it broke down (`breakdown`)."""

    def monitor(self) -> BreakdownMonitor:
        """A watch over one training."""
        return BreakdownMonitor()


#: Lets a run recover from spikes and from the rise that a large first LR causes, and take on harder data.
TRAINING = TrainingRule()


class BreakdownMonitor:
    """Watches the loss of a training: a non-finite one diverges at once, others by the shape of the whole loss.

    It looks at the whole every few updates, at steps that depend on nothing but their number, so the verdict does not
    depend on how the losses are cut into pieces. Memory is bounded, and so is the time for an update.

    >>> monitor = BreakdownMonitor()
    >>> monitor.update([2.0, 1.5, 1.2] * 20), monitor.update([1.0, float("nan"), 1.0]), monitor.reason
    (None, 61, 'the loss became nan')
    """

    def __init__(self) -> None:
        self.reason = ""
        self.diverged_at: int | None = None
        self._history = History()

    def update(self, losses: ArrayLike) -> int | None:
        """As `Monitor.update`."""
        values = np.asarray(losses, dtype=np.float64).ravel()
        bad = np.flatnonzero(~np.isfinite(values))
        finite = values[: bad[0]] if len(bad) else values
        at = 0
        while at < len(finite) and self.diverged_at is None:
            steps = self._history.steps
            every = min(max(1 << (max(steps // 16, 1).bit_length() - 1), _LOOKS[0]), _LOOKS[1])
            taken = finite[at : at + every - steps % every]
            at += len(taken)
            self._history.add(taken)
            if self._history.steps % every == 0:
                self._look(ended=False)
        if self.diverged_at is None and len(bad):
            self.reason, self.diverged_at = f"the loss became {values[bad[0]]:g}", self._history.steps
        return self.diverged_at

    def finish(self) -> int | None:
        """As `Monitor.finish`."""
        if self.diverged_at is None:
            self._look(ended=True)
        return self.diverged_at

    def _look(self, ended: bool) -> None:
        if self._history.steps < EARLIEST and not ended:
            return
        found = breakdown(self._history.levels(), self._history.tail, ended)
        if found is not None:
            self.reason, self.diverged_at = found, self._history.steps - 1


def first_divergence(losses: ArrayLike, rule: Rule = TRAINING) -> int | None:
    """The index at which one whole curve, shape (steps,), has diverged, or None."""
    monitor = rule.monitor()
    monitor.update(losses)
    return monitor.finish()
