"""The share of validation in a run's time, and advice how often to validate where it is large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from lrtool.engine.trials import Trace
from lrtool.units import Duration

#: More than this is said, and what is proposed instead stays below the other.
_MUCH, _LITTLE = 1 / 3, 0.2
#: How many times as rarely it may be proposed to validate: numbers that people write.
_TIMES = (2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True)
class ValidationTime:
    """Seconds of training and of validation, and the number of validations in so many updates."""

    training: float
    validation: float
    times: int
    steps: int
    every: int

    @classmethod
    def of(cls, trace: Trace, every: int) -> Self:
        """That of a trial that was validated after `every` updates (0: only at the end), the times that it was stopped
        and went on counted."""
        spent = sum(each.seconds for each in trace.evaluations)
        return cls(float(trace.seconds.sum()), spent, len(trace.evaluations), trace.steps, every)

    @property
    def share(self) -> float | None:
        """Validation's part of the time of both; None where there was none."""
        whole = self.training + self.validation
        return self.validation / whole if self.times and whole > 0 else None

    def notes(self, written: Duration) -> tuple[str, ...]:
        """What to say where the share is above a third; `written` is the config's `eval_every`."""
        if self.share is None or self.share <= _MUCH:
            return ()
        return (f"validation took {self.share:.0%} of the time; {self._instead(written)}",)

    def _instead(self, written: Duration) -> str:
        for factor in _TIMES if self.every else ():
            share = self._share_if(factor)
            if factor * self.every < self.steps and share <= _LITTLE:
                rarer = Duration(written.amount * factor, written.unit).written()
                return f"train.eval_every: {rarer} would make it {share:.0%}"
        if self.times > 1:
            at_end = self._share_if(self.times)
            return f"train.eval_every: 0 would validate only after the last update and make it {at_end:.0%}"
        return "a smaller data.val_fraction would make it less"

    def _share_if(self, factor: float) -> float:
        """The share if it had been validated so many times as rarely."""
        rarer = self.validation / factor
        return rarer / (rarer + self.training)
