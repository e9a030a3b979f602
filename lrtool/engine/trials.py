"""The contract of all engines: trials, recipe, trace, observer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

from lrtool.analysis.divergence import TRAINING, Rule
from lrtool.engine.observer import Observer
from lrtool.errors import UsageError
from lrtool.optimizers import Optimizer
from lrtool.schedules import Curve
from lrtool.schedules.plateau import Plateau
from lrtool.status import Status
from lrtool.tasks.base import Task

Array = NDArray[np.float64]


class EngineName(StrEnum):
    """What a user may ask for; AUTO is whichever of the others is faster."""

    AUTO = "auto"
    LOOP = "loop"
    VECTOR = "vector"

    @classmethod
    def parse(cls, name: str) -> Self:
        """The engine of this name; UsageError where there is none."""
        try:
            return cls(name)
        except ValueError:
            raise UsageError(
                f"there is no engine {name!r}", where="--engine", remedy="write auto, loop or vector"
            ) from None


@dataclass(frozen=True)
class Trial:
    """One training run: a seed, hyperparameters, and one curve per scheduled hyperparameter.

    `curves` always has `lr`; its other keys are among the optimizer's `scheduled`. `hyperparameters`
    gives the fixed values of those that have no curve (missing ones come from the optimizer).
    """

    seed: int
    steps: int
    curves: Mapping[str, Curve]
    hyperparameters: Mapping[str, float] = field(default_factory=dict)
    label: str = ""


#: Columns of a trace with the norms of an update's gradient before clipping, where they are recorded: L2 and L1.
GRAD_NORMS = ("grad_norm", "grad_norm_l1")


@dataclass(frozen=True)
class Recipe:
    """How trials are trained: everything that all trials of one call share. Durations are in updates.

    `accumulate` batches make one update (the batches of update t are a·t … a·t+a−1 of the batch order).
    `clip_norm` clips the gradient's global norm. `eval_every` 0 means only after the last update.
    `stop_on_divergence` ends a trial where its loss explodes by `divergence_rule`; a non-finite loss always
    ends it. `recoveries`: how often a trial that diverges goes back to its last good state instead, and on at half the
    LR. `plateau` multiplies the LR by a factor that follows the evaluations. `best` names the value that the best
    weights are judged by: `train_loss`, `val_loss` or `val_<metric>`.
    """

    optimizer: Optimizer
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    clip_norm: float | None = None
    accumulate: int = 1
    eval_every: int = 0
    record_grad_norm: bool = False
    stop_on_divergence: bool = True
    divergence_rule: Rule = TRAINING
    plateau: Plateau | None = None
    recoveries: int = 0
    best: str = "val_loss"

    @property
    def per_update(self) -> tuple[str, ...]:
        """What an update is told anew each time: the LR first, then the optimizer's other hyperparameters."""
        return ("lr", *self.optimizer.hyperparameters())


@dataclass(frozen=True)
class Evaluation:
    """Validation after `step` updates: `val_loss` and each metric as `val_<name>`.

    `seconds`: what it took; 0 where it was not measured, as of one trial among many.
    """

    step: int
    values: Mapping[str, float]
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class Fault:
    """Where a trial diverged: the update, the LR it used, and what was first not finite, where that is known."""

    step: int
    lr: float
    layer: str | None = None


@dataclass(frozen=True)
class Recovery:
    """A trial that diverged went on: from the state after `restored` updates, its LR times `factor` from there on.

    `step`, `lr`: the update that it diverged at, and the LR that this one used.
    """

    step: int
    lr: float
    restored: int
    factor: float
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.reason} at lr {self.lr:.4g}: went back to the state after {self.restored} updates, and on at"
            f" {self.factor:g} times the LR of the schedule"
        )


@dataclass
class Trace:
    """What a trial produced. Arrays have one entry per update that was done.

    `recorded` holds further per-step columns (`momentum`, `weight_decay`, those of `GRAD_NORMS`). `reason` says
    why a trial did not finish, `fault` where it diverged. `seconds[t]` is what update t took. `recoveries`: how it went
    on after it had diverged; what it had trained in vain is not among the updates.
    """

    trial: Trial
    status: Status
    train_loss: Array
    lr: Array
    seconds: Array
    reason: str = ""
    fault: Fault | None = None
    recorded: dict[str, Array] = field(default_factory=dict)
    evaluations: list[Evaluation] = field(default_factory=list)
    recoveries: list[Recovery] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Updates whose loss is recorded."""
        return len(self.train_loss)


class Engine(Protocol):
    """Turns (task, trials) into traces, in the order of the trials."""

    def run(self, task: Task, trials: Sequence[Trial], recipe: Recipe, observer: Observer | None = None) -> list[Trace]:
        """Train every trial. Raises TaskError where the user's code fails."""
        ...
