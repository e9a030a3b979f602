"""How the vector engine trains its trials: size of the stack, threads, compiled or not, and why."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from lrtool.engine import clock
from lrtool.engine.device import intra_threads
from lrtool.engine.processes import can_fork
from lrtool.engine.speeds import Amount, StackSpeed, grown, size_for, stack_speed
from lrtool.engine.trials import Recipe, Trial
from lrtool.engine.vector import calibration
from lrtool.engine.vector.calibration import Seconds
from lrtool.engine.vector.compiling import Compiled, Graph, compiled, missing_compiler, traced, usual_seconds
from lrtool.engine.vector.proof.updates import compiled_differs
from lrtool.engine.vector.skeleton import skeleton_of
from lrtool.engine.vector.stack import Stack
from lrtool.engine.vector.update import Update, first_rows
from lrtool.engine.work import Work, work_of
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
#: Updates, of all trials, below which nothing is measured for a plan alone, and the size then.
FEW, SMALL = 4000, 16
#: A compiled update's time over a plain one's, each in the stack where it is fastest, where it was not measured: 0.41,
#: 0.45, 0.69 and 0.72 for two MLPs, a transformer and a CNN. (Over a plain one's of the same stack: 0.14 to 0.41.)
_TAKES = Seconds(0.4, 0.55, 0.75)
#: Operators of a traced update, about, for each call in the forward pass and for each tensor of parameters.
_PER_CALL, _PER_TENSOR = 8, 10
#: How often a graph was compiled, as far as it is remembered.
_TIMES = 5
#: A second thread must bring this much, measured this often for this many seconds.
_WORKER_GAIN = 1.15
_ROUNDS, _MEASURED = 4, 0.03


class Outlook(NamedTuple):
    """How long it takes, how many trials are trained at a time, and whether compiled."""

    seconds: Seconds
    company: int
    compiled: bool


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

    `updates`: how many there will be in all, where the call is one of several that follow the same plan. `alone`:
    seconds of a trial's update by the loop engine, where known: stacks that can never be as fast are not looked into.
    """

    task: Task
    trials: Sequence[Trial]
    recipe: Recipe
    slots: int | None = None
    compile: bool | None = None
    workers: int | None = None
    updates: int | None = None
    alone: float = math.inf

    def __post_init__(self) -> None:
        device = self.recipe.device
        skeleton = skeleton_of(self.task, device, self.trials[0].seed)
        self._work: Work = work_of(self.task, skeleton, device)
        self._update = Update(self.task, self.recipe, skeleton, self._work.random)
        self._updates = self.updates if self.updates is not None else sum(trial.steps for trial in self.trials)
        self._cores = torch.get_num_threads() if device.type == "cpu" else 1
        self._memory = calibration.Memory()
        self._times = calibration.CompileTimes(self._memory, device)
        self._key = "stack " + calibration.signature(self.task, self.recipe, skeleton, self._work)

    def plan(self) -> Plan:
        """Measure where it pays, compile where it pays."""
        amount = self._amount()
        speed = self._speed(amount) if self._measures else self._known_speed()
        size, threads, saved = min(self.slots or SMALL, amount.trials, self._largest), torch.get_num_threads(), 0.0
        if speed is not None:
            saved, threads = self._saved(speed, amount), speed.threads
            size = size if self.slots is not None else speed.best_size(amount, self._largest)
        made, why = self._compiled(saved)
        if made is None:
            return Plan(size, 1, threads, None, self._work.random, why)
        self._learn(made, speed)
        workers = self._workers(made)
        reason = f"compiled in {made.seconds:.1f} s ({why}); {workers} x {made.size} trials at a time"
        return Plan(made.size, workers, self._compiled_threads, made, self._work.random, reason)

    def outlook(self, amount: Amount) -> Outlook:
        """How long so much takes as a plan would train it, compiling included, and how many trials at a time."""
        speed = self._speed(amount)
        size = speed.best_size(amount, self._largest)
        plain = Seconds.around(speed.seconds(amount, size))
        if self._pays(self._saved(speed, amount), self._expected_compile(self._known_operators())):
            compiled = self._expected_compile(self._known_operators()).plus(
                Seconds.around(self._compiled_seconds(speed, amount, self._gain().likely))
            )
            if compiled.likely < plain.likely:
                # In parts they would be other stacks, each compiled by itself.
                return Outlook(compiled, amount.trials, True)
        return Outlook(plain, size, False)

    def execution(self, amount: Amount, compiled: bool) -> float:
        """Seconds of training alone, as a plan is: compiled, or not."""
        speed = self._speed(amount)
        if compiled:
            return self._compiled_seconds(speed, amount, self._gain().likely)
        return speed.seconds(amount, speed.best_size(amount, self._largest))

    @property
    def _compiled_threads(self) -> int:
        """Torch threads of a compiled stack: on a CPU, the stacks beside it have the other cores."""
        return 1 if self.recipe.device.type == "cpu" else torch.get_num_threads()

    @property
    def _largest(self) -> int:
        return max(1, stack_budget(self.recipe.device) // max(1, self._work.held))

    def _amount(self) -> Amount:
        return Amount.of(self.task, self.trials, self.recipe)

    @property
    def _measures(self) -> bool:
        """Whether speeds are measured: not where all was told, nor where there is too little to do for it to matter."""
        return self._updates >= FEW and (self.slots is None or self.compile is None)

    def _known_speed(self) -> StackSpeed | None:
        return StackSpeed.parse(self._memory.get(self._key))

    def _speed(self, amount: Amount) -> StackSpeed:
        """As remembered, or measured now; for larger stacks than were measured before, those too."""
        most = min(size_for(self.slots or amount.trials), self._largest)
        known, hopeless = self._known_speed(), self.alone / self._gain().likely
        if known is None or not grown(known.updates, most, hopeless):
            known = stack_speed(self.task, self.recipe, self._update, most, hopeless, known)
            self._memory.put(self._key, known.document())
        return known

    def _saved(self, speed: StackSpeed, amount: Amount) -> float:
        """Seconds that a compiled update is likely to save, over all updates there will be."""
        slots = min(self.slots, amount.trials) if self.slots is not None else None
        size = slots or speed.best_size(amount, self._largest)
        now = amount.trials * amount.updates
        repeats = self._updates / now if self.updates is not None and now else 1.0
        compiled = self._compiled_seconds(speed, amount, self._gain().likely)
        return max(0.0, speed.seconds(amount, size) - compiled) * repeats

    def _compiled_seconds(self, speed: StackSpeed, amount: Amount, gain: float) -> float:
        """Seconds of all trials in compiled stacks; `gain`: an update's time over that of the fastest plain one."""
        size = self._compiled_size(amount.trials)
        workers = min(self.workers or self._cores, -(-amount.trials // size))
        rounds = -(-amount.trials // (size * workers))
        update = size * speed.fastest * gain
        validated = amount.validations * speed.validation(size)
        return rounds * (amount.updates * update + validated + size * speed.begin)

    def _gain(self) -> Seconds:
        """A compiled update's time over a plain one's, a trial's share in the stack where that is fastest."""
        known = self._memory.get(f"compiled {self._key}")
        gain = known.get("takes") if isinstance(known, dict) else None
        return Seconds.around(float(gain), 0.1) if isinstance(gain, int | float) and 0 < gain < 10 else _TAKES

    def _known_operators(self) -> int:
        """Operators of the traced update, about, before it is traced."""
        known = self._memory.get(f"compiled {self._key}")
        operators = known.get("operators") if isinstance(known, dict) else None
        tensors = len(dict(self._update.skeleton.named_parameters()))
        return operators if isinstance(operators, int) else _PER_CALL * self._work.operators + _PER_TENSOR * tensors

    def _expected_compile(self, operators: int) -> Seconds:
        return self._times.expected(usual_seconds(operators))

    def _pays(self, saved: float, takes: Seconds) -> bool:
        """Whether compiling pays even if it takes as long as it ever may."""
        return self.compile is not False and self._forbids() is None and saved >= takes.high

    def _forbids(self) -> str | None:
        if self._update.unknown is not None:
            return "the model draws random values in a way that is not known"
        return missing_compiler(self.recipe.device)

    def _learn(self, made: Compiled, speed: StackSpeed | None) -> None:
        """Remember how much faster a compiled update is."""
        known = self._memory.get(f"compiled {self._key}")
        if speed is None or not isinstance(known, dict) or "takes" in known:
            return
        with intra_threads(self._compiled_threads):
            once = self._once(made)
            taken = min(clock.timed(once, self.recipe.device) for _ in range(4))
        gain = taken / (made.size * speed.fastest)
        self._memory.put(f"compiled {self._key}", {**known, "takes": min(max(gain, 0.02), 5.0)})

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
        size, task, recipe = self._compiled_size(len(self.trials)), self.task, self.recipe
        assert isinstance(task.train, TensorSource)
        takes = self._expected_compile(self._known_operators())
        # Tracing takes a part of the time of compiling; where that is hopeless, it is saved too.
        if self.compile is None and saved < takes.low:
            return None, _too_long(takes, saved)
        stack = Stack(self._update.skeleton, recipe, size)
        rows = first_rows(task, recipe, size)
        began = clock.worked()
        graph = traced(self._update, stack, task.train, recipe.per_update, rows)
        tracing = clock.worked() - began
        with intra_threads(self._compiled_threads):
            known = graph.known
            takes = self._compile_seconds(graph)
            if self.compile is None and not known and saved < takes.high:
                return None, _too_long(takes, saved)
            made = compiled(graph)
        if not known:
            self._remember(graph, made.seconds)
        difference = compiled_differs(self._update, made, task, recipe)
        if difference:
            return None, f"not compiled: {difference}"
        why = "told to" if self.compile else f"saves about {saved:.0f} s"
        return Compiled(made.function, made.size, made.seconds + tracing), why

    def _compile_seconds(self, graph: Graph) -> Seconds:
        """How long compiling this graph may take: what it took before, or what others did."""
        before = self._memory.get(graph.key)
        if isinstance(before, list) and before and all(isinstance(each, int | float) for each in before):
            return Seconds(0.7 * min(before), before[-1], 1.3 * max(before))
        return self._expected_compile(graph.operators)

    def _remember(self, graph: Graph, seconds: float) -> None:
        before = self._memory.get(graph.key)
        self._memory.put(graph.key, [*(before if isinstance(before, list) else []), seconds][-_TIMES:])
        self._times.add(graph.usual_seconds, seconds)
        known = self._memory.get(f"compiled {self._key}")
        self._memory.put(
            f"compiled {self._key}", {**(known if isinstance(known, dict) else {}), "operators": graph.operators}
        )

    def _compiled_size(self, trials: int) -> int:
        if self.slots is not None:
            return min(self.slots, trials)
        touched = _TOUCHED.get(self.recipe.device.type, _TOUCHED_ELSEWHERE)
        fits = max(4, touched // max(1, 3 * self._work.parameters + self._work.bytes))
        size = 1 << (min(fits, self._largest, 256).bit_length() - 1)
        # All cores have work. A power of 2 wherever it fits, so that calls with more or fewer trials share a graph.
        return min(size, -(-trials // (self.workers or self._cores)))

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


def _too_long(takes: Seconds, saved: float) -> str:
    return f"not compiled: it would take about {takes.written} and save about {saved:.0f} s"


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if isinstance(error, LrtoolError) and text else f"{type(error).__name__}: {text[0] if text else ''}"
