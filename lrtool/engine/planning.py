"""How the vector engine trains its trials: size of the stack, threads, compiled or not, and why."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lrtool.engine import calibration
from lrtool.engine.compiling import START, Compiled, compiled, missing_compiler, traced
from lrtool.engine.device import intra_threads
from lrtool.engine.forked import can_fork
from lrtool.engine.proof import compiled_differs
from lrtool.engine.skeleton import skeleton_of
from lrtool.engine.stacking import Stack, Update, Work, first_rows, work_of
from lrtool.engine.trials import Recipe, Trial
from lrtool.errors import LrtoolError
from lrtool.tasks.base import Task
from lrtool.tasks.sources import TensorSource

#: Bytes that stacks may hold, activations included, by kind of device.
_BUDGET = {"cpu": 400 * 2**20}
_BUDGET_ELSEWHERE = 2 * 2**30
#: Bytes that a compiled stack should touch per update: what stays in a core's own cache. With twice or half as many,
#: MLPs of 10 to 100 thousand bytes and a CNN take 2 to 10% longer.
_TOUCHED = {"cpu": 2 * 2**20}
_TOUCHED_ELSEWHERE = 512 * 2**20
#: Updates, of all trials, below which nothing is measured, and the size then.
FEW, SMALL = 4000, 16
#: Part of an uncompiled update's time that compiling saves.
_SAVES = 0.6
#: A second thread must bring this much, measured this often for this many seconds.
_WORKER_GAIN = 1.15
_ROUNDS, _MEASURED = 4, 0.03


@dataclass(frozen=True)
class Plan:
    """`workers` threads train a stack of `size` models each, with `threads` torch threads. `reason` for people."""

    size: int
    workers: int
    threads: int
    compiled: Compiled | None
    random: bool
    reason: str


@dataclass
class Planner:
    """Makes the plan of one call; `task` is on the device.

    `updates`: how many there will be in all, where the call is one of several that follow the same plan.
    """

    task: Task
    trials: Sequence[Trial]
    recipe: Recipe
    slots: int | None = None
    compile: bool | None = None
    workers: int | None = None
    updates: int | None = None

    def __post_init__(self) -> None:
        device = self.recipe.device
        skeleton = skeleton_of(self.task, device, self.trials[0].seed)
        self._work: Work = work_of(self.task, skeleton, device)
        self._update = Update(self.task, self.recipe, skeleton, self._work.random)
        self._updates = self.updates if self.updates is not None else sum(trial.steps for trial in self.trials)
        self._cores = torch.get_num_threads() if device.type == "cpu" else 1
        self._memory = calibration.Memory()

    def plan(self) -> Plan:
        """Measure where it pays, compile where it pays."""
        plain = self._plain()
        made, why = self._compiled(plain["seconds"])
        if made is None:
            return Plan(int(plain["size"]), 1, int(plain["threads"]), None, self._work.random, why)
        workers = self._workers(made)
        reason = f"compiled in {made.seconds:.1f} s ({why}); {workers} x {made.size} trials at a time"
        threads = 1 if self.recipe.device.type == "cpu" else torch.get_num_threads()
        return Plan(made.size, workers, threads, made, self._work.random, reason)

    def plain_seconds(self) -> float:
        """How long all updates take uncompiled."""
        return float(self._plain()["seconds"]) * self._updates

    def measure_again(self) -> None:
        """Measure the uncompiled stack once more, and keep the faster: what else runs on the machine only ever adds."""
        if self.slots is None and self._updates >= FEW:
            key = self._plain_key()
            known, found = self._memory.get(key), self._measured()
            if not calibration.readable(known) or found["seconds"] < known["seconds"]:
                self._memory.put(key, found)

    @property
    def _largest(self) -> int:
        return max(1, stack_budget(self.recipe.device) // max(1, self._work.held))

    def _plain(self) -> dict[str, Any]:
        """Size, threads and seconds per trial and update of an uncompiled stack."""
        count, threads = len(self.trials), torch.get_num_threads()
        if self.slots is not None or self._updates < FEW:
            size = min(self.slots or SMALL, count, self._largest)
            if self.slots is None or self.compile is not None or self._updates < FEW:
                return {"size": size, "threads": threads, "seconds": 0.0}
        key = self._plain_key()
        known = self._memory.get(key)
        if not calibration.readable(known):
            known = self._measured()
            self._memory.put(key, known)
        assert known is not None
        return {**known, "size": min(known["size"], count)}

    def _plain_key(self) -> str:
        count = self.slots or len(self.trials)
        return calibration.signature(self.task, self.recipe, self._work, count, self._update)

    def _measured(self) -> dict[str, Any]:
        count = self.slots or len(self.trials)
        return calibration.plain_speed(self.task, self.recipe, self._update, self._largest, count)

    def _compiled(self, seconds: float) -> tuple[Compiled | None, str]:
        """The compiled update and why, or None and why not."""
        saved = self._updates * seconds * _SAVES
        if self.compile is False:
            return None, "not compiled: told not to"
        if self._update.unknown is not None:
            return None, "not compiled: the model draws random values in a way that is not known"
        lacking = missing_compiler(self.recipe.device)
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
        size, task, recipe = self._compiled_size(), self.task, self.recipe
        assert isinstance(task.train, TensorSource)
        stack = Stack(self._update.skeleton, recipe, size)
        rows = first_rows(task, recipe, size)
        threads = 1 if recipe.device.type == "cpu" else torch.get_num_threads()
        began = time.perf_counter()
        graph = traced(self._update, stack, task.train, recipe.per_update, rows)
        tracing = time.perf_counter() - began
        with intra_threads(threads):
            known = graph.known
        remembered = self._memory.get(graph.key)
        expected = remembered if isinstance(remembered, float) else graph.expected_seconds
        if self.compile is None and not known and saved < expected:
            return None, f"not compiled: it would take about {expected:.0f} s and save about {saved:.0f} s"
        with intra_threads(threads):
            made = compiled(graph)
        if not known:
            self._memory.put(graph.key, made.seconds)
        difference = compiled_differs(self._update, made, task, recipe)
        if difference:
            return None, f"not compiled: {difference}"
        why = "told to" if self.compile else f"saves about {saved:.0f} s"
        return Compiled(made.function, made.size, made.seconds + tracing), why

    def _compiled_size(self) -> int:
        if self.slots is not None:
            return min(self.slots, len(self.trials))
        touched = _TOUCHED.get(self.recipe.device.type, _TOUCHED_ELSEWHERE)
        fits = max(4, touched // max(1, 3 * self._work.parameters + self._work.bytes))
        size = 1 << (min(fits, self._largest, 256).bit_length() - 1)
        # All cores have work. A power of 2 wherever it fits, so that calls with more or fewer trials share a graph.
        return min(size, -(-len(self.trials) // (self.workers or self._cores)))

    def _workers(self, made: Compiled) -> int:
        """How many stacks to train at once: as many as there are cores, in threads only if that is measurably faster.

        Processes share nothing that they could wait for; threads share the interpreter's lock, and how much they lose
        by it depends on the model.
        """
        most = min(self.workers or self._cores, -(-len(self.trials) // made.size))
        if self.workers is None:
            most = min(most, max(1, self._largest // made.size))
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
        stack = Stack(self._update.skeleton, recipe, made.size)
        rows = first_rows(task, recipe, made.size)
        h = torch.zeros(len(recipe.per_update), made.size, dtype=stack.hyperparameter_type, device=recipe.device)
        step = made.bind(stack, task.train)

        def once() -> None:
            with torch.no_grad():
                step(rows, h)

        return once


def stack_budget(device: torch.device) -> int:
    """Bytes that stacks on a device may hold, activations included."""
    return _BUDGET.get(device.type, _BUDGET_ELSEWHERE)


def expected_seconds(planner: Planner) -> float:
    """How long the trials may take as a plan would train them, compiling included."""
    plain = planner.plain_seconds()
    if planner.compile is False or missing_compiler(planner.recipe.device) is not None:
        return plain
    return min(plain, plain * (1 - _SAVES) + START)


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if isinstance(error, LrtoolError) and text else f"{type(error).__name__}: {text[0] if text else ''}"
