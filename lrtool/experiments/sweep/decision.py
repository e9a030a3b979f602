"""The decision which engine trains a group of a sweep, and whether it compiles: made once, by trying."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sized
from dataclasses import dataclass
from typing import Any, Self

import torch

from lrtool.engine.choice import choose_engine
from lrtool.engine.device import intra_threads, math_attention
from lrtool.engine.trials import EngineName, Recipe, Trial
from lrtool.engine.vector.plan import StackPlanner
from lrtool.errors import LrtoolError
from lrtool.experiments.sweep.grouping import Group
from lrtool.experiments.sweep.jobs import most_trials, recipe_of, setup_of, trial_of
from lrtool.tasks.base import Task


@dataclass(frozen=True)
class Decision:
    """The engine of a group and why; remembered, so that a resumed sweep, and every process, computes the same.

    `measured`: the times that spoke for it, and the plan, in words; of two sweeps that are equal they differ.
    """

    engine: EngineName
    compiled: bool
    reason: str
    measured: str = ""

    @classmethod
    def parse(cls, known: Mapping[str, Any]) -> Self:
        """What `vars` gave, read from JSON."""
        measured = str(known.get("measured", ""))
        return cls(EngineName(known["engine"]), bool(known["compiled"]), str(known["reason"]), measured)

    @property
    def text(self) -> str:
        """Which one and why."""
        return f"{self.engine}: {self.reason}{self.measured}"


@dataclass(frozen=True)
class Outlook:
    """How much training a group of a sweep still has before it.

    `updates`: those of the group over those of its trials now, spread over `calls` of the engine.

    `sizes`: how many different sizes of stack the calls have; each is compiled by itself. `workers`: processes that
    share each call; None: this process trains all.
    """

    updates: float = 1.0
    calls: int = 1
    sizes: int = 1
    workers: int | None = None


def decide(group: Group, allow_import: Collection[str], outlook: Outlook) -> Decision:
    """Which engine trains a group; a group that cannot even be built is left to the loop, which says why."""
    try:
        setup = setup_of(group, frozenset(allow_import))
        recipe = recipe_of(setup)
        trials = [trial_of(setup, planned) for planned in group.trials]
        choice = choose_engine(setup.task, trials, recipe)
        if choice.name is EngineName.LOOP:
            return Decision(choice.name, False, choice.reason, choice.measured)
        compiled, how = _compiles(setup.task, recipe, trials, most_trials(setup.steps), outlook)
    except LrtoolError as error:
        return Decision(EngineName.LOOP, False, str(error).splitlines()[0])
    return Decision(choice.name, compiled, choice.reason, f"{choice.measured}; {how}")


def said_of(group: Group, allow_import: Collection[str]) -> tuple[dict[str, bool], dict[str, Any]]:
    """Of each metric of a group, whether more of it is better, and its loss; nothing of one that cannot be built."""
    try:
        task = setup_of(group, frozenset(allow_import)).task
    except LrtoolError:
        return {}, {}
    return task.higher_is_better, dict(task.loss_said or {})


def _compiles(task: Task, recipe: Recipe, trials: list[Trial], most: int, outlook: Outlook) -> tuple[bool, str]:
    """Whether compiling pays for the stacks of a group, and the plan in words."""
    updates, threads = sum(trial.steps for trial in trials) * outlook.updates, torch.get_num_threads()
    workers, alone, times = outlook.workers, None, outlook.sizes
    if workers is not None:
        # Processes are started for every call, and each compiles by itself.
        alone, times, threads = 1, outlook.calls * workers, max(1, threads // workers)
        most = min(most, share(trials, workers))
    with math_attention(), intra_threads(threads):
        there = task.to(recipe.device)
        plan = StackPlanner(there, trials[:most], recipe, workers=alone, updates=round(updates / times)).plan()
    return plan.compiled is not None, plan.reason


def share(trials: Sized, workers: int) -> int:
    """How many of these trials one process gets; at least two, as a stack of one is computed otherwise."""
    return max(2, -(-len(trials) // workers))
