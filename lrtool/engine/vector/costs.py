"""Costs of stacks on this machine, plain and compiled: seconds and bytes, measured or remembered."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import nn

from lrtool.engine.cost import calibration
from lrtool.engine.cost.amount import Amount
from lrtool.engine.cost.calibration import Seconds
from lrtool.engine.cost.work import Work, work_of
from lrtool.engine.trials import Recipe
from lrtool.engine.vector.compiling import Graph, usual_seconds
from lrtool.engine.vector.replaying import replays
from lrtool.engine.vector.speeds import StackSpeed, grown, size_for, sizes_tried, stack_speed
from lrtool.engine.vector.update import Update
from lrtool.tasks.base import Task

#: Bytes that stacks may hold, activations included, by kind of device.
_BUDGET = {"cpu": 400 * 2**20}
_BUDGET_ELSEWHERE = 2 * 2**30
#: The part of a GPU's free memory: what an update needs beside the state is only estimated.
_OF_FREE = 0.4
#: Bytes that a compiled stack should touch per update: what stays in a core's own cache. With twice or half as many,
#: MLPs of 10 to 100 thousand bytes and a CNN take 2 to 10% longer.
_TOUCHED = {"cpu": 2 * 2**20}
_TOUCHED_ELSEWHERE = 512 * 2**20
#: A compiled update's time over a plain one's, each in the stack where it is fastest, where it was not measured: 0.41,
#: 0.45, 0.69 and 0.72 for two MLPs, a transformer and a CNN. (Over a plain one's of the same stack: 0.14 to 0.41.)
_TAKES = Seconds(0.4, 0.55, 0.75)
#: Operators of a traced update, about, for each call in the forward pass and for each tensor of parameters.
_PER_CALL, _PER_TENSOR = 8, 10
#: How often a graph was compiled, as far as it is remembered.
_TIMES = 5


class LoopPace(NamedTuple):
    """Seconds of a trial's update by the loop engine: one by one, and a trial's share where several train at a time.

    Where nobody asks, stacks need beat nothing.
    """

    alone: float = math.inf
    together: float = math.inf


class StackCosts:
    """What stacks of one task and recipe cost; `task` is on the device, `skeleton` one model of it.

    `slots` and `workers`: told by the caller, or None. `loop`: what a stack has to beat.
    """

    def __init__(
        self, task: Task, recipe: Recipe, skeleton: nn.Module, slots: int | None, workers: int | None, loop: LoopPace
    ) -> None:
        self.task, self.recipe, self.slots, self.workers, self.loop = task, recipe, slots, workers, loop
        self.work: Work = work_of(task, skeleton, recipe.device)
        self.update = Update(task, recipe, skeleton, self.work.random)
        self.cores = torch.get_num_threads() if recipe.device.type == "cpu" else 1
        self._memory = calibration.Memory()
        self._times = calibration.CompileTimes(self._memory, recipe.device)
        way = "recorded stack " if replays(recipe.device) else "stack "
        self._key = way + calibration.signature(task, recipe, skeleton, self.work)

    @property
    def compiled_threads(self) -> int:
        """Torch threads of a compiled stack: on a CPU, the stacks beside it have the other cores."""
        return 1 if self.recipe.device.type == "cpu" else torch.get_num_threads()

    @property
    def largest(self) -> int:
        """Models that the largest stack may have."""
        return most_at_once(self.work, self.recipe.device)

    def known_speed(self) -> StackSpeed | None:
        """Seconds of uncompiled stacks as remembered, None where nothing is."""
        return StackSpeed.parse(self._memory.get(self._key))

    def speed(self, amount: Amount) -> StackSpeed:
        """As remembered, or measured now; for larger stacks than were measured before, those too."""
        sizes = sizes_tried(self.recipe.device)
        most = min(size_for(self.slots or amount.trials, sizes), self.largest)
        known, hopeless = self.known_speed(), self._hopeless(amount)
        if known is None or not grown(known.updates, most, hopeless, sizes):
            known = stack_speed(self.task, self.recipe, self.update, most, hopeless, known)
            self._memory.put(self._key, known.document())
        return known

    def _hopeless(self, amount: Amount) -> float:
        """Seconds of a trial's update in a stack from which stacks are of no use: compiled ones neither, if those pay.

        Compiling pays nowhere where it takes as long as the loop takes for everything.
        """
        compiling = self.expected_compile(self.known_operators()).likely
        if compiling >= amount.trials * amount.updates * self.loop.together:
            return self.loop.together
        return max(self.loop.together, self.loop.alone / self.gain().likely)

    def compiled_seconds(self, speed: StackSpeed, amount: Amount, gain: float) -> float:
        """Seconds of all trials in compiled stacks; `gain`: an update's time over that of the fastest plain one."""
        size = self.compiled_size(amount.trials)
        workers = min(self.workers or self.cores, -(-amount.trials // size))
        rounds = -(-amount.trials // (size * workers))
        update = size * (speed.fastest * gain + speed.watch)
        validated = amount.validations * speed.validation(size)
        return rounds * (amount.updates * update + validated + size * speed.begin)

    def gain(self) -> Seconds:
        """A compiled update's time over a plain one's, a trial's share in the stack where that is fastest."""
        known = self._memory.get(f"compiled {self._key}")
        gain = known.get("takes") if isinstance(known, dict) else None
        return Seconds.around(float(gain), 0.1) if isinstance(gain, int | float) and 0 < gain < 10 else _TAKES

    @property
    def lacks_gain(self) -> bool:
        """Whether this task's update was compiled, but how much faster it is was not measured."""
        known = self._memory.get(f"compiled {self._key}")
        return isinstance(known, dict) and "takes" not in known

    def learn(self, gain: float) -> None:
        """Keep a compiled update's time over a plain one's."""
        known = self._memory.get(f"compiled {self._key}")
        entries = known if isinstance(known, dict) else {}
        self._memory.put(f"compiled {self._key}", {**entries, "takes": min(max(gain, 0.02), 5.0)})

    def known_operators(self) -> int:
        """Operators of the traced update, about, before it is traced."""
        known = self._memory.get(f"compiled {self._key}")
        operators = known.get("operators") if isinstance(known, dict) else None
        tensors = len(dict(self.update.skeleton.named_parameters()))
        return operators if isinstance(operators, int) else _PER_CALL * self.work.operators + _PER_TENSOR * tensors

    def expected_compile(self, operators: int) -> Seconds:
        """How long compiling so many operators takes here."""
        return self._times.expected(usual_seconds(operators))

    def compile_seconds(self, graph: Graph) -> Seconds:
        """How long compiling this graph may take: what it took before, or what others did."""
        before = self._memory.get(graph.key)
        if isinstance(before, list) and before and all(isinstance(each, int | float) for each in before):
            return Seconds(0.7 * min(before), before[-1], 1.3 * max(before))
        return self.expected_compile(graph.operators)

    def remember(self, graph: Graph, seconds: float) -> None:
        """Keep how long compiling this graph took."""
        before = self._memory.get(graph.key)
        self._memory.put(graph.key, [*(before if isinstance(before, list) else []), seconds][-_TIMES:])
        self._times.add(graph.usual_seconds, seconds)
        known = self._memory.get(f"compiled {self._key}")
        self._memory.put(
            f"compiled {self._key}", {**(known if isinstance(known, dict) else {}), "operators": graph.operators}
        )

    def compiled_size(self, trials: int) -> int:
        """Models in a compiled stack, of so many trials."""
        if self.slots is not None:
            return min(self.slots, trials)
        touched = _TOUCHED.get(self.recipe.device.type, _TOUCHED_ELSEWHERE)
        fits = max(4, touched // max(1, 3 * self.work.parameters + self.work.bytes))
        size = 1 << (min(fits, self.largest, 256).bit_length() - 1)
        # All cores have work. A power of 2 wherever it fits, so that calls with more or fewer trials share a graph.
        return min(size, -(-trials // (self.workers or self.cores)))


def most_at_once(work: Work, device: torch.device) -> int:
    """Models in training that fit what stacks on a device may hold, one at least."""
    return max(1, stack_budget(device) // max(1, work.held))


def stack_budget(device: torch.device) -> int:
    """Bytes that stacks on a device may hold, activations included; on a GPU by what is free now."""
    if device.type == "cuda" and torch.cuda.is_available():
        return int(_OF_FREE * torch.cuda.mem_get_info(device)[0])
    return _BUDGET.get(device.type, _BUDGET_ELSEWHERE)
