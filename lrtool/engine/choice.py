"""The choice of an engine for trials: which one, how long it takes, and why."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import NamedTuple

import torch
from torch import nn

from lrtool.engine.cost import calibration
from lrtool.engine.cost.amount import Amount
from lrtool.engine.cost.calibration import Seconds
from lrtool.engine.cost.work import Work, work_of
from lrtool.engine.device import intra_threads, math_attention
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.loop.speeds import LoopSpeed, loop_speed
from lrtool.engine.loop.threads import worthwhile_threads
from lrtool.engine.processes import can_fork
from lrtool.engine.trials import Engine, EngineName, Recipe, Trial
from lrtool.engine.vector.costs import LoopPace, most_at_once
from lrtool.engine.vector.engine import VectorEngine
from lrtool.engine.vector.plan import FEW, Plan, StackOutlook, StackPlanner
from lrtool.engine.vector.proof.stackable import why_not_stackable
from lrtool.tasks.base import Task, seeded_model

#: Seconds by the loop engine up to which it does not matter who trains, so that nothing about stacks is measured.
_LITTLE = 0.5
#: About how many updates' time it takes to prove that a model can be stacked, and to time stacks of it, and the part of
#: all there is to train that this may be. A model that keeps a CPU busy by itself gains little by a stack.
_LOOKING, _LOOK_PART = 100, 0.1
#: A stack is taken where it is expected to take this part of the loop's time: planning it takes time too, and it is not
#: known as well.
_CLEARLY = 0.85
#: Seconds that it takes to start processes for a call, and to hear from them.
_FORKING = 0.05
#: Other times than a stack's parts would say are remembered up to this many times longer or less long.
_FAR = 4.0


class Choice(NamedTuple):
    """An engine, its name, the reason as a clause for people ("one trial has no company"), and what it costs.

    `measured`: the times that spoke for it, for people; no two measurements are the same, so it is no part of a result.
    """

    name: EngineName
    engine: Engine
    reason: str
    costs: Costs
    measured: str = ""

    @property
    def why(self) -> str:
        """The reason, with what was measured."""
        return f"{self.reason}{self.measured}"

    @property
    def text(self) -> str:
        """Which one and why."""
        return f"{self.name}: {self.why}"


class Costs(NamedTuple):
    """What a choice costs: `seconds` by this engine, and `one_by_one` by the loop; `company`: how many at once."""

    seconds: Seconds
    one_by_one: float
    company: int


class Chooser:
    """Chooses the engine for trials of one task and recipe, by speeds that are measured once and remembered.

    `forks`: whether there may be processes. `measured`: gives the loop's speed where it is not this process's own.
    `spread`: why this process has only a part of a model, which is not stacked; "" if it has all.
    `stake`: seconds that all that is to be trained may take, where that is known; else what is asked for at a time
    counts. Raises TaskError where the user's code fails.
    """

    def __init__(
        self,
        task: Task,
        example: Trial,
        recipe: Recipe,
        planned: Callable[[Plan], None] | None = None,
        forks: bool = True,
        measured: Callable[[], LoopSpeed] | None = None,
        spread: str = "",
    ) -> None:
        self._measured = measured
        self.task, self.recipe = task.to(recipe.device), recipe
        self._example, self._planned = example, planned
        self._memory = calibration.Memory()
        self._obstacle: tuple[str | None] | None = (spread,) if spread else None
        self._planner: StackPlanner | None = None
        model = seeded_model(self.task, example.seed)
        # Where a single model is all there may be, or not even that, no copy to look at is made; on the CPU there was a
        # whole one before it was spread.
        whole = not spread or recipe.device.type == "cpu"
        looked_at = whole and (forks or recipe.optimizer.stackable)
        self._work = _work(self.task, model.to(recipe.device), recipe) if looked_at else None
        self.key = calibration.signature(self.task, recipe, model, self._work)
        self._threads = worthwhile_threads(self.task, model, recipe.device)
        self._most_workers = _workers(self._work, recipe) if forks and not spread else 1
        self._speed: LoopSpeed | None = None
        self.stake = 0.0
        self._paces: dict[str, float] = {}

    @property
    def obstacle(self) -> str | None:
        """Why these trials cannot be stacked; None if they can."""
        if self._obstacle is None:
            self._obstacle = (why_not_stackable(self.task, self.recipe, self._example.seed),)
        return self._obstacle[0]

    @property
    def is_obstructed(self) -> bool:
        """Whether it was tried, and these trials cannot be stacked."""
        return self._obstacle is not None and self._obstacle[0] is not None

    @property
    def speed(self) -> LoopSpeed:
        """That of one trial by itself."""
        if self._speed is None and self._measured is not None:
            self._speed = self._measured()
        if self._speed is None:
            speed = known_loop_speed(f"loop {self.key}", self.task, self._example, self.recipe)
            if self._threads > 1 and self.recipe.device.type == "cpu":
                # On a busy machine threads wait for each other, and spin: on an idle one, one thread is never faster.
                one = self._with_one_thread()
                speed = LoopSpeed(*(min(a, b) for a, b in zip(astuple(speed), astuple(one), strict=True)))
            self._speed = speed
        return self._speed

    def choose(self, amount: Amount) -> Choice:
        """The engine that trains so much soonest."""
        if amount.trials < 2:
            alone = self._alone(amount)
            costs = Costs(Seconds.around(alone, 0.25), alone, 1)
            return Choice(EngineName.LOOP, LoopEngine(), "one trial has no company", costs)
        if self._work is not None and most_at_once(self._work, self.recipe.device) < 2:
            return self.looped(amount, "two such models at once would take more memory than a stack may")
        if not self._worth_looking(amount):
            return self.looped(amount, "to look into stacks would take longer than they are likely to save")
        if self.obstacle is not None:
            return self.looped(amount, f"these trials cannot be stacked: {self.obstacle}")
        loop = self.looped(amount, "stacking is not faster for this model")
        if self._alone(amount) < _LITTLE and amount.trials * amount.updates < FEW:
            return self.stacked(amount, StackOutlook(Seconds.around(self._alone(amount), 0.5), amount.trials, False))
        found = self._outlook(amount)
        took, against = found.seconds.likely, loop.costs.seconds.likely
        if took >= _CLEARLY * against:
            return loop._replace(measured=f" ({found.seconds.written} against {loop.costs.seconds.written})")
        measured = f", in about {found.seconds.written}; the loop would take {loop.costs.seconds.written}"
        return self.stacked(amount, found, measured)

    def stacked(self, amount: Amount, found: StackOutlook | None = None, measured: str = "") -> Choice:
        """The vector engine."""
        found = found or self._outlook(amount)
        return Choice(
            EngineName.VECTOR,
            VectorEngine(planned=self._planned),
            f"{amount.trials} trials side by side",
            Costs(found.seconds, self._alone(amount), found.company),
            measured,
        )

    def looped(self, amount: Amount, why: str) -> Choice:
        """The loop engine, with as many workers as there are cores where so many models fit."""
        alone = self._alone(amount)
        workers = min(self._most_workers, amount.trials)
        if workers < 2:
            costs = Costs(Seconds.around(alone * self._pace(EngineName.LOOP)), alone, 1)
            return Choice(EngineName.LOOP, LoopEngine(), why, costs)
        each = self._speed_beside(workers).trial(amount) * self._pace(EngineName.LOOP)
        seconds = math.ceil(amount.trials / workers) * each + _FORKING
        costs = Costs(Seconds.around(seconds), alone, workers)
        why = f"{why}; {workers} processes with a trial each"
        return Choice(EngineName.LOOP, LoopEngine(workers=workers), why, costs)

    def expected(self, name: EngineName, amount: Amount, compiled: bool = False) -> float:
        """Seconds that an engine takes for so much once it is planned, and compiled or not."""
        if name is EngineName.LOOP:
            return self.looped(amount, "").costs.seconds.likely
        with math_attention():
            return self._known_planner().execution(amount, compiled) * self._pace(EngineName.VECTOR)

    def heard(self, name: EngineName, expected: float, took: float) -> None:
        """An engine took so long where so much was expected: from now on it is expected to take as much longer.

        Other days count too, so what is remembered lies halfway to it.
        """
        before = self._pace(name)
        self._paces[name] = before * took / max(1e-9, expected)
        self._memory.put(f"pace {name} {self.key}", min(max((before * self._paces[name]) ** 0.5, 1 / _FAR), _FAR))

    def _pace(self, name: EngineName) -> float:
        """How many times longer this engine takes for this task than its parts would say."""
        if name not in self._paces:
            known = self._memory.get(f"pace {name} {self.key}")
            self._paces[name] = float(known) if isinstance(known, int | float) and 1 / _FAR <= known <= _FAR else 1.0
        return self._paces[name]

    def _worth_looking(self, amount: Amount) -> bool:
        if self._obstacle is not None or self.recipe.device.type != "cpu" or self._alone(amount) < _LITTLE:
            return True
        # What a budget might hold if stacks were much faster is asked for too: it says nothing of what is at stake.
        stake = self.stake or self.looped(amount, "").costs.seconds.likely
        return _LOOKING * self.speed.update <= _LOOK_PART * stake

    def _alone(self, amount: Amount) -> float:
        return amount.trials * self.speed.trial(amount)

    def _outlook(self, amount: Amount) -> StackOutlook:
        with math_attention():
            found = self._known_planner().outlook(amount)
        return found._replace(seconds=found.seconds.times(self._pace(EngineName.VECTOR)))

    def _known_planner(self) -> StackPlanner:
        if self._planner is None:
            alone, workers = self.speed.update, self._most_workers
            together = min(alone, self._speed_beside(workers).update / workers)
            self._planner = StackPlanner(self.task, [self._example], self.recipe, loop=LoopPace(alone, together))
        return self._planner

    def _speed_beside(self, workers: int) -> LoopSpeed:
        """That of a trial in a process with one thread, beside others."""
        if self._threads == 1 or workers == 1:
            return self.speed
        return self._with_one_thread()

    def _with_one_thread(self) -> LoopSpeed:
        with intra_threads(1):
            return known_loop_speed(f"loop beside {self.key}", self.task, self._example, self.recipe)


def choose_engine(
    task: Task,
    trials: Sequence[Trial],
    recipe: Recipe,
    planned: Callable[[Plan], None] | None = None,
    chooser: Chooser | None = None,
) -> Choice:
    """The engine that trains these trials soonest, by trying and timing; `planned` hears how a vector engine trains.

    Models that cannot be stacked train one by one, and so do those whose stack is measured to be slower: large
    models, which keep the machine busy by themselves. `chooser`: one that has chosen for these trials' like before.
    Raises TaskError where the user's code fails.
    """
    chooser = chooser or Chooser(task, trials[0], recipe, planned)
    return chooser.choose(Amount.of(task, trials, recipe))


def known_loop_speed(key: str, task: Task, trial: Trial, recipe: Recipe) -> LoopSpeed:
    """The speed of one trial by itself, as remembered, or measured now."""
    memory = calibration.Memory()
    known = LoopSpeed.parse(memory.get(key))
    if known is None:
        known = loop_speed(task, trial, recipe)
        memory.put(key, vars(known))
    return known


def _work(task: Task, model: nn.Module, recipe: Recipe) -> Work | None:
    try:
        return work_of(task, model, recipe.device)
    except Exception:
        # What it cannot do without a gradient it may well do in training.
        return None


def _workers(work: Work | None, recipe: Recipe) -> int:
    """One for each core; a single one, with all threads, where they would not fit or cannot be started."""
    workers = torch.get_num_threads()
    if workers < 2 or work is None or not can_fork(recipe.device):
        return 1
    return workers if workers <= most_at_once(work, recipe.device) else 1
