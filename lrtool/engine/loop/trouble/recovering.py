"""Going on after a divergence: the last good state of a trial, and the LR that is halved from there on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from lrtool.engine.loop.checkpoint import Checkpoint
from lrtool.engine.trials import Array, Evaluation, Recipe, Recovery

#: Updates that the level of a loss is judged by, at least, and the parts of a run after which a state may be kept.
_FEWEST, _PARTS = 10, 50
#: What of the way from the lowest level back up to the start a good state may have lost again, and what is noise in
#: median absolute deviations (1.5 of them are a standard deviation).
_LOST, _NOISE = 0.25, 3.0
#: What the LR is multiplied by.
FACTOR = 0.5
#: The group of a checkpoint's tensors that hold the good state.
_GROUP = "good"


@dataclass(frozen=True)
class LossLevel:
    """The losses of the updates between two states: their median, and its usual deviation."""

    median: float
    deviation: float

    @classmethod
    def of(cls, losses: Array) -> LossLevel:
        """That of some losses; infinite where one is not finite."""
        if not len(losses) or not np.isfinite(losses).all():
            return cls(float("inf"), 0.0)
        median = float(np.median(losses))
        return cls(median, float(np.median(np.abs(losses - median))))


_UNKNOWN = LossLevel(float("inf"), 0.0)


class GoodState:
    """The newest state of a trial that nothing spoke against, looked for after every `every` updates.

    Of the losses since the look before, the median must be in the lower quarter of the way from the lowest median so
    far back up to the start, or within the noise of the lowest. So a state stays as long as the loss is up, and is
    there when that is called a divergence later. It is a function of the losses alone.
    """

    def __init__(self, recipe: Recipe, steps: int) -> None:
        reported = recipe.eval_every or max(1, steps // _PARTS)
        self.every = -(-_FEWEST // reported) * reported
        self.state: Checkpoint | None = None
        self.done: list[Recovery] = []
        self._judged, self._best = 0, _UNKNOWN
        self._noise, self._good = 0.0, 0

    @property
    def factor(self) -> float:
        """What the LR is multiplied by now."""
        return self.done[-1].factor if self.done else 1.0

    def is_due(self, step: int) -> bool:
        """Whether a state after so many updates is to be looked at."""
        return step % self.every == 0

    def is_good(self, losses: Array) -> bool:
        """Whether the state after these losses, all of the trial so far, is worth going back to."""
        good = not len(losses)
        for first in range(self._judged, len(losses), self.every):
            good = self._judge(LossLevel.of(losses[first : first + self.every]), float(np.median(losses[:_FEWEST])))
        self._judged = len(losses)
        return good

    def _judge(self, level: LossLevel, start: float) -> bool:
        self._best = min(self._best, level, key=lambda each: each.median)
        noise = (self._noise + self._best.deviation) / (self._good + 1)
        allowed = max(_LOST * (start - self._best.median), _NOISE * noise)
        good = bool(np.isfinite(level.median) and level.median <= self._best.median + allowed)
        if good:
            self._noise, self._good = self._noise + level.deviation, self._good + 1
        return good

    def went_back(self) -> None:
        """What was known of the losses holds no longer."""
        self._judged, self._best = 0, _UNKNOWN
        self._noise, self._good = 0.0, 0

    def after(self, step: int, lr: float, reason: str) -> Recovery:
        """Note that the trial goes back; gives what is to be said of it."""
        assert self.state is not None
        recovery = Recovery(step, lr, self.state.step, self.factor * FACTOR, reason)
        self.done.append(recovery)
        self.went_back()
        return recovery

    def details(self) -> dict[str, Any]:
        """Plain data for a checkpoint."""
        kept = None if self.state is None else {"step": self.state.step, "details": dict(self.state.details)}
        return {"recoveries": [asdict(each) for each in self.done], "state": kept}

    def tensors(self) -> dict[str, Tensor]:
        """Tensors for a checkpoint, by their names in it."""
        # Copies: the best weights may be those of now, and no file holds a tensor twice.
        return {} if self.state is None else {f"{_GROUP}/{name}": t.clone() for name, t in self.state.tensors.items()}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from what a checkpoint has of it; one of another setting has nothing."""
        found: Mapping[str, Any] = checkpoint.details.get("recovering") or {"recoveries": [], "state": None}
        self.done = [Recovery(**each) for each in found["recoveries"]]
        self.went_back()
        kept = found["state"]
        if kept is not None:
            trace = {name: column[: kept["step"]] for name, column in checkpoint.trace.items()}
            evaluations: list[Evaluation] = [each for each in checkpoint.evaluations if each.step <= kept["step"]]
            tensors = checkpoint.group(_GROUP)
            self.state = Checkpoint(kept["step"], tensors, kept["details"], trace, evaluations)
