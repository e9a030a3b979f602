"""LR range tests in training loops that are not lrtool's: whoever trains is handed LRs, and gives back losses."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrtool.analysis.divergence import Rule
from lrtool.api.parts.asked import Asked
from lrtool.api.parts.running import working
from lrtool.api.range_test import tested
from lrtool.api.results.range_test import RangeTestAnswer
from lrtool.engine.choice import Choice, Costs
from lrtool.engine.cost.amount import Amount
from lrtool.engine.cost.calibration import Seconds
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.loop.speeds import LoopSpeed
from lrtool.engine.observer import Observer
from lrtool.engine.trials import EngineName, Recipe, Trace, Trial
from lrtool.errors import TaskError
from lrtool.experiments.engines import Engines
from lrtool.experiments.resuming.search_memory import SearchMemory
from lrtool.experiments.setup import Setup
from lrtool.live.config import live_config, sorted_settings
from lrtool.live.optimizer import LiveOptimizer, group_scales, set_lrs
from lrtool.live.preserved import Preserved
from lrtool.live.remembering import generators_in
from lrtool.live.specs import LiveData, LiveModel
from lrtool.live.wrappers import bare_model, bare_optimizer, check_belongs, device_of
from lrtool.schedules import Curve
from lrtool.status import Status
from lrtool.tasks.base import Task

#: Updates that are timed before anything else is trained, the first one not counted, and their LR.
_TIMED, _NEXT_TO_NOTHING = 4, 1e-12
#: Seconds of an update that nothing depends on, as there will be a ramp alone.
_GUESSED = 0.01
#: Updates after which whoever shows progress hears of them.
_TOLD = 25
_WHY = "the training loop is not lrtool's"


class Updates:
    """The updates of one training: the LR that is to be used by the next one, and the losses of those that were made.

    Whoever trains calls `prepare` before each update, `record` with its loss after it, and stops when `over`.
    """

    def __init__(self, trial: Trial, optimizer: torch.optim.Optimizer, rule: Rule | None = None) -> None:
        self.trial, self.optimizer = trial, optimizer
        self.scales = group_scales(optimizer)
        self.losses, self.seconds, self.reason = list[float](), list[float](), ""
        self.told: Callable[[Trace, int], None] = lambda *_: None
        self._lrs = trial.curves["lr"].table()
        self._monitor = rule.monitor() if rule is not None else None
        self._diverged, self._began = False, time.perf_counter()

    @property
    def over(self) -> bool:
        """Whether no further update is wanted: all were made, or the loss exploded."""
        return self._diverged or len(self.losses) >= self.trial.steps

    def prepare(self) -> None:
        """Set the LR of the next update in every parameter group, in the ratios that they had."""
        if not self.over:
            lr = float(self._lrs[len(self.losses)])
            set_lrs(self.optimizer, [lr * scale for scale in self.scales])

    def record(self, loss: Any) -> None:
        """The loss of the update that was made."""
        if self.over:
            return
        value = float(loss.detach().float().mean()) if isinstance(loss, Tensor) else float(loss)
        now = time.perf_counter()
        self.losses.append(value)
        self.seconds.append(now - self._began)
        self._began = now
        settled = self._monitor.update([value]) if self._monitor is not None else None
        self._diverged = not math.isfinite(value) or settled is not None
        if len(self.losses) % _TOLD == 0 and not self.over:
            self.told(self.trace(), len(self.losses) - _TOLD)

    def trace(self) -> Trace:
        """What was trained so far; one that diverged says so."""
        done = len(self.losses)
        status = Status.DIVERGED if self._diverged else Status.FINISHED
        reason = f"the loss exploded at update {done - 1}" if self._diverged else ""
        return Trace(self.trial, status, np.array(self.losses), self._lrs[:done], np.array(self.seconds), reason)


#: Trains: sets the LRs of `Updates` and gives it the losses, until it is over.
TrainBy = Callable[[Updates], None]


@dataclass(frozen=True)
class Foreign:
    """A training that is not lrtool's: its model and optimizer, its length, and what makes its updates.

    `steps_per_epoch`, `steps`: updates of an epoch, and of the whole training. `optimizer`: the one whose LR is tested.
    `state` is put back before each training. `settings`: as `lrtool.range_test` takes them. `reseeded`: what draws
    random numbers of its own, such as a loader. `repeats`: the data can be begun again; if not there is only the ramp,
    as long as they last.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    data: Any
    steps_per_epoch: int
    steps: int
    train: TrainBy
    state: Preserved
    schedule: Any = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    reseeded: Sequence[Any] = ()
    notes: Sequence[str] = ()
    repeats: bool = True


@dataclass(frozen=True)
class RangeTestOptions:
    """How a range test is made: cost at most in training runs, the ramp alone, progress, where its folder goes."""

    budget: float | None = None
    quick: bool = False
    progress: bool = True
    output: str | Path | None = None


def measure(foreign: Foreign, options: RangeTestOptions) -> RangeTestAnswer:
    """Make a range test with somebody else's training loop; the state is as the last training left it."""
    setup = _setup(foreign)
    engines = ForeignEngines(foreign)
    scales = tuple(group_scales(foreign.optimizer))
    with working(options.output) as folder:
        ready = Asked(setup, engines, scales, lambda: foreign.model, foreign.optimizer, foreign.notes)
        temporary = options.output is None
        return tested(ready, folder, options.budget, options.quick, options.progress, temporary)


def checked(model: Any, optimizer: Any) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Model and optimizer inside their wrappers; UsageError where one cannot be tested, or not with the other."""
    inner, bare = bare_model(model), bare_optimizer(optimizer)
    check_belongs(bare, inner)
    return inner, bare


def seed_all(seed: int, owners: Sequence[Any]) -> None:
    """The seed of a training, for everything that draws random numbers; who cares has it remembered."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - users' code draws from it
    random.seed(seed)
    for owner in owners:
        for each in generators_in(owner):
            if isinstance(each, torch.Generator):
                each.manual_seed(seed)


def _setup(foreign: Foreign) -> Setup:
    settings = sorted_settings({**foreign.settings, "duration": foreign.steps})
    data: LiveData = LiveData.of(foreign.data, **settings.pop("data"))
    model = LiveModel.of(lambda: foreign.model, foreign.model)
    optimizer = LiveOptimizer.of(foreign.optimizer)
    device = device_of(foreign.model)
    config = live_config(model, data, optimizer, None, foreign.schedule, device, settings)
    # Updates stand for samples: what an epoch's batches are is known to the other loop alone.
    task = Task(config.name, lambda: foreign.model, CountedSource(foreign.steps_per_epoch), None, 1, None)
    return Setup(config, task, Recipe(optimizer=optimizer, device=torch.device(device)), lent=True)


class CountedSource:
    """Samples that somebody else's loop takes: only their number is known here."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size

    def take(self, index: Tensor) -> Any:
        """Never called where somebody else trains."""
        raise TaskError("these data are in somebody else's loop", where="data")

    def to(self, device: torch.device) -> CountedSource:
        """The same."""
        return self


class ForeignEngines(Engines):
    """Trains trials by somebody else's training loop, one by one; measured once, it knows how long one takes."""

    def __init__(self, foreign: Foreign) -> None:
        super().__init__(EngineName.LOOP, forks=False)
        self.foreign = foreign
        self._speed: LoopSpeed | None = None

    def run(
        self,
        task: Task,
        trials: Sequence[Trial],
        recipe: Recipe,
        observer: Observer | None = None,
        memory: SearchMemory | None = None,
        first: int = 0,
    ) -> list[Trace]:
        """Train every trial; traces in the order of the trials. A loop that is there cannot be gone on with."""
        watch, traces = observer or Observer(), list[Trace]()
        watch.begin(trials)
        rule = recipe.divergence_rule if recipe.stop_on_divergence else None
        for number, trial in enumerate(trials):
            traces.append(self._one(trial, rule, watch, number))
            self._trained[EngineName.LOOP, _WHY] += trial.steps
        return traces

    def chooser(self, task: Task, trial: Trial, recipe: Recipe) -> Any:
        """What is known of the speed of this loop: a key, and the seconds of an update."""
        return SimpleNamespace(key="foreign", speed=self._measured(trial), stake=0.0)

    def expected(self, task: Task, trial: Trial, recipe: Recipe, amount: Amount) -> Choice:
        """How long so much takes."""
        seconds = amount.trials * self._measured(trial).trial(amount)
        return Choice(EngineName.LOOP, LoopEngine(), _WHY, Costs(Seconds.around(seconds), seconds, 1))

    def _measured(self, trial: Trial) -> LoopSpeed:
        if self._speed is None and not self.foreign.repeats:
            self._speed = LoopSpeed(_GUESSED, 0.0, 0.0)
        if self._speed is None:
            still = Curve(lambda t: np.full(t.shape, _NEXT_TO_NOTHING), _TIMED, _NEXT_TO_NOTHING)
            began = time.perf_counter()
            trace = self._one(replace(trial, steps=_TIMED, curves={"lr": still}), None, Observer(), 0)
            whole = time.perf_counter() - began
            update = max(1e-6, float(np.median(trace.seconds[1:])))
            self._speed = LoopSpeed(update, 0.0, max(0.0, whole - float(trace.seconds[1:].sum())))
        return self._speed

    def _one(self, trial: Trial, rule: Rule | None, watch: Observer, number: int) -> Trace:
        """One training from the state that there was, with a seed of its own."""
        foreign = self.foreign
        foreign.state.rewind_all()
        seed_all(trial.seed, foreign.reseeded)
        updates = Updates(trial, foreign.optimizer, rule)
        told = 0

        def tell(trace: Trace, start: int) -> None:
            nonlocal told
            watch.recorded(number, trace, start)
            told = trace.steps

        updates.told = tell
        foreign.train(updates)
        trace = updates.trace()
        if not updates.over and (foreign.repeats or not trace.steps):
            raise TaskError(
                f"the training loop ended after {trace.steps} of {trial.steps} updates",
                where="data",
                remedy="give it data that can be begun again, or fewer updates: steps, probe_steps",
            )
        watch.recorded(number, trace, told)
        watch.ended(number, trace)
        return trace
