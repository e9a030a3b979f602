"""The plan of a call of the vector engine: size of the stacks, threads, compiled or not, and why."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from lrtool.engine import clock
from lrtool.engine.cost import calibration
from lrtool.engine.cost.amount import Amount
from lrtool.engine.cost.calibration import Seconds
from lrtool.engine.device import intra_threads
from lrtool.engine.processes import can_fork
from lrtool.engine.trials import Recipe, Trial
from lrtool.engine.vector.compiling import Compiled, Graph, as_traced, compiled, missing_compiler, traced
from lrtool.engine.vector.costs import LoopPace, StackCosts
from lrtool.engine.vector.proof.updates import compiled_differs
from lrtool.engine.vector.replaying import replays
from lrtool.engine.vector.skeleton import skeleton_of
from lrtool.engine.vector.speeds import StackSpeed
from lrtool.engine.vector.stack import Stack
from lrtool.engine.vector.update import first_rows
from lrtool.errors import LrtoolError
from lrtool.tasks.base import Task
from lrtool.tasks.sources import TensorSource

#: Updates, of all trials, below which nothing is measured for a plan alone, and the size then.
FEW, SMALL = 4000, 16
#: Updates of a stack, one after the other, from which recording them pays: to trace one takes as long as some sixty.
_RECORDED = 100
#: A second thread must bring this much, measured this often for this many seconds.
_WORKER_GAIN = 1.15
_ROUNDS, _MEASURED = 4, 0.03


class StackOutlook(NamedTuple):
    """What training by stacks would be like: its time, the number of trials at once, and whether it is compiled."""

    seconds: Seconds
    company: int
    compiled: bool


@dataclass(frozen=True)
class Plan:
    """How a call is trained: `workers` train a stack of `size` models each, with `threads` torch threads.

    `reason`: for people.
    """

    size: int
    workers: int
    threads: int
    compiled: Compiled | None
    random: bool
    reason: str


@dataclass
class StackPlanner:
    """Makes the plan of one call; `task` is on the device.

    `updates`: how many there will be in all, where the call is one of several that follow the same plan. `loop`: how
    fast the loop engine is, where known: stacks that can never be as fast are not looked into.
    """

    task: Task
    trials: Sequence[Trial]
    recipe: Recipe
    slots: int | None = None
    compile: bool | None = None
    workers: int | None = None
    updates: int | None = None
    loop: LoopPace = field(default_factory=LoopPace)

    def __post_init__(self) -> None:
        skeleton = skeleton_of(self.task, self.recipe.device, self.trials[0].seed)
        self.costs = StackCosts(self.task, self.recipe, skeleton, self.slots, self.workers, self.loop)
        self._updates = self.updates if self.updates is not None else sum(trial.steps for trial in self.trials)

    def plan(self) -> Plan:
        """Measure where it pays, compile where it pays."""
        amount = self._amount()
        speed = self.costs.speed(amount) if self._measures else self.costs.known_speed()
        size, threads, saved = min(self.slots or SMALL, amount.trials, self.costs.largest), torch.get_num_threads(), 0.0
        if speed is not None:
            saved, threads = self._saved(speed, amount), speed.threads
            size = size if self.slots is not None else speed.best_size(amount, self.costs.largest)
        made, why = self._compiled(saved)
        if made is None:
            made, why = self._recorded(size, amount, why)
            return Plan(size, 1, threads, made, self.costs.work.random, why)
        self._learn(made, speed)
        workers = self._workers(made)
        reason = f"compiled in {made.seconds:.1f} s ({why}); {workers} x {made.size} trials at a time"
        return Plan(made.size, workers, self.costs.compiled_threads, made, self.costs.work.random, reason)

    def outlook(self, amount: Amount) -> StackOutlook:
        """How long so much takes as a plan would train it, compiling included, and how many trials at a time."""
        speed = self.costs.speed(amount)
        size = speed.best_size(amount, self.costs.largest)
        plain = Seconds.around(speed.seconds(amount, size))
        if self._pays(self._saved(speed, amount), self.costs.expected_compile(self.costs.known_operators())):
            compiled = self.costs.expected_compile(self.costs.known_operators()).plus(
                Seconds.around(self.costs.compiled_seconds(speed, amount, self.costs.gain().likely))
            )
            if compiled.likely < plain.likely:
                # In parts they would be other stacks, each compiled by itself.
                return StackOutlook(compiled, amount.trials, True)
        return StackOutlook(plain, size, False)

    def execution(self, amount: Amount, compiled: bool) -> float:
        """Seconds of training alone, as a plan is: compiled, or not."""
        speed = self.costs.speed(amount)
        if compiled:
            return self.costs.compiled_seconds(speed, amount, self.costs.gain().likely)
        return speed.seconds(amount, speed.best_size(amount, self.costs.largest)) - speed.ready

    def _amount(self) -> Amount:
        return Amount.of(self.task, self.trials, self.recipe)

    @property
    def _measures(self) -> bool:
        """Whether speeds are measured: not where all was told, nor where there is too little to do for it to matter."""
        return self._updates >= FEW and (self.slots is None or self.compile is None)

    def _saved(self, speed: StackSpeed, amount: Amount) -> float:
        """Seconds that a compiled update is likely to save, over all updates there will be."""
        slots = min(self.slots, amount.trials) if self.slots is not None else None
        size = slots or speed.best_size(amount, self.costs.largest)
        now = amount.trials * amount.updates
        repeats = self._updates / now if self.updates is not None and now else 1.0
        compiled = self.costs.compiled_seconds(speed, amount, self.costs.gain().likely)
        return max(0.0, speed.seconds(amount, size) - compiled) * repeats

    def _pays(self, saved: float, takes: Seconds) -> bool:
        """Whether compiling pays even if it takes as long as it ever may."""
        return self.compile is not False and self._forbids() is None and saved >= takes.high

    def _forbids(self) -> str | None:
        if self.costs.update.unknown is not None:
            return "the model draws random values in a way that is not known"
        return missing_compiler(self.recipe.device)

    def _learn(self, made: Compiled, speed: StackSpeed | None) -> None:
        """Remember how much faster a compiled update is."""
        if speed is None or not self.costs.lacks_gain:
            return
        with intra_threads(self.costs.compiled_threads):
            once = self._once(made)
            taken = min(clock.timed(once, self.recipe.device) for _ in range(4))
        self.costs.learn(taken / (made.size * speed.fastest))

    def _compiled(self, saved: float) -> tuple[Compiled | None, str]:
        """The compiled update and why, or None and why not."""
        if self.compile is False:
            return None, "not compiled: told not to"
        lacking = self._forbids()
        if lacking is not None:
            return None, f"not compiled: {lacking}"
        if self.compile is None and saved < 1.0:
            return None, f"not compiled: it would save about {saved:.1f} s"
        try:
            return self._try(saved)
        except Exception as error:
            # Whatever the compiler cannot do with this model or on this machine, the plain update can.
            return None, f"not compiled: compiling failed ({_first_line(error)})"

    def _try(self, saved: float) -> tuple[Compiled | None, str]:
        task, recipe = self.task, self.recipe
        takes = self.costs.expected_compile(self.costs.known_operators())
        # Tracing takes a part of the time of compiling; where that is hopeless, it is saved too.
        if self.compile is None and saved < takes.low:
            return None, _too_long(takes, saved)
        began = clock.worked()
        graph = self._traced(self.costs.compiled_size(len(self.trials)))
        tracing = clock.since(began)
        with intra_threads(self.costs.compiled_threads):
            known = graph.known
            takes = self.costs.compile_seconds(graph)
            if self.compile is None and not known and saved < takes.high:
                return None, _too_long(takes, saved)
            made = compiled(graph)
        if not known:
            self.costs.remember(graph, made.seconds)
        difference = compiled_differs(self.costs.update, made, task, recipe)
        if difference:
            return None, f"not compiled: {difference}"
        why = "told to" if self.compile else f"saves about {saved:.0f} s"
        return Compiled(made.function, made.size, made.seconds + tracing), why

    def _recorded(self, size: int, amount: Amount, why: str) -> tuple[Compiled | None, str]:
        """On a GPU the traced update, to be recorded, where that pays; and `why`, the reason not to compile."""
        one_by_one = amount.updates * -(-amount.trials // size)
        possible = replays(self.recipe.device) and self.costs.update.unknown is None
        if self.compile is False or not possible or one_by_one < _RECORDED:
            return None, why
        try:
            made = as_traced(self._traced(size))
            difference = compiled_differs(self.costs.update, made, self.task, self.recipe)
        except Exception as error:
            return None, f"{why}; not recorded: {_first_line(error)}"
        if difference or self.costs.update.unknown is not None:
            return None, f"{why}; not recorded: {difference or 'the model draws in a way that is not known'}"
        return made, f"recorded as a CUDA graph; {why}"

    def _traced(self, size: int) -> Graph:
        task, recipe = self.task, self.recipe
        assert isinstance(task.train, TensorSource)
        stack, rows = Stack(self.costs.update.skeleton, recipe, size), first_rows(task, recipe, size)
        return traced(self.costs.update, stack, task.train, recipe.per_update, rows)

    def _workers(self, made: Compiled) -> int:
        """How many stacks to train at once: as many as there are cores, in threads only if that is measurably faster.

        Processes share nothing that they could wait for; threads share the interpreter's lock, and how much they lose
        by it depends on the model.
        """
        most = min(self.workers or self.costs.cores, -(-len(self.trials) // made.size))
        if self.workers is None:
            most = min(most, max(1, self.costs.largest // made.size))
        if most == 1 or self.workers is not None or can_fork(self.recipe.device):
            return most
        first = calibration.in_parallel(lambda: self._once(made), 1, 2)
        repeats = max(3, min(50, int(_MEASURED / max(1e-6, first))))
        alone = together = math.inf
        # By turns, the best of each: what else runs on the machine only ever adds.
        for _ in range(_ROUNDS):
            alone = min(alone, calibration.in_parallel(lambda: self._once(made), 1, repeats))
            together = min(together, calibration.in_parallel(lambda: self._once(made), most, repeats) / most)
        return most if together * _WORKER_GAIN < alone else 1

    def _once(self, made: Compiled) -> Callable[[], None]:
        task, recipe = self.task, self.recipe
        assert isinstance(task.train, TensorSource)
        stack = Stack(self.costs.update.skeleton, recipe, made.size)
        rows = first_rows(task, recipe, made.size)
        h = torch.zeros(len(recipe.per_update), made.size, dtype=stack.hyperparameter_type, device=recipe.device)
        step = made.bind(stack, task.train)

        def once() -> None:
            with torch.no_grad():
                step(rows, h)

        return once


def _too_long(takes: Seconds, saved: float) -> str:
    return f"not compiled: it would take about {takes.written} and save about {saved:.0f} s"


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if isinstance(error, LrtoolError) and text else f"{type(error).__name__}: {text[0] if text else ''}"
