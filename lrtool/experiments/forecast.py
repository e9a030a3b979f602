"""What a sweep would do, before it does it: groups, engines, time and memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from lrtool.engine.choose import loop_seconds
from lrtool.engine.planning import Planner, expected_seconds, stack_budget
from lrtool.engine.stacking import math_attention, work_of
from lrtool.engine.trials import Recipe, Trial
from lrtool.engine.vector import placed
from lrtool.errors import LrtoolError
from lrtool.executors.local import cores
from lrtool.experiments.grouping import Group
from lrtool.experiments.jobs import recipe_of, setup_of, trial_of
from lrtool.experiments.setup import Setup
from lrtool.experiments.sweep import Options, decide
from lrtool.tasks.base import Task, seeded_model

#: Bytes of an update in a trace.
_PER_UPDATE = 24


@dataclass(frozen=True)
class Forecast:
    """One group: how it would be trained, in about how many `seconds`, with about how many `bytes`; None: unknown."""

    trials: int
    steps: int
    like: str
    engine: str
    reason: str
    seconds: float | None
    bytes: int | None


def forecast(group: Group, options: Options) -> Forecast:
    """Look at a group: builds it, chooses its engine, times a few updates."""
    decision = decide(group, options.allow_import)
    like = group.trials[0].variant
    try:
        setup = setup_of(group, options.allow_import)
        recipe = recipe_of(setup)
        trials = [trial_of(setup, planned) for planned in group.trials]
        seconds, size = _costs(setup, recipe, trials, decision.engine, options)
    except LrtoolError as error:
        return Forecast(len(group.trials), 0, like, decision.engine, str(error).splitlines()[0], None, None)
    return Forecast(len(trials), setup.steps, like, decision.engine, decision.reason, seconds, size)


def forecasts(groups: list[Group], options: Options) -> list[Forecast]:
    """Look at every group."""
    return [forecast(group, options) for group in groups]


def document(found: list[Forecast], trials: int, tuned: int) -> dict[str, Any]:
    """The plan for scripts; `tuned` LR searches come first."""
    known = [each.seconds for each in found if each.seconds is not None]
    sizes = [each.bytes for each in found if each.bytes is not None]
    return {
        "trials": trials,
        "lr_searches": tuned,
        "groups": [vars(each) for each in found],
        "seconds": sum(known) if len(known) == len(found) else None,
        "bytes": max(sizes) if sizes else None,
    }


def _costs(setup: Setup, recipe: Recipe, trials: list[Trial], engine: str, options: Options) -> tuple[float, int]:
    task = placed(setup.task, recipe)
    model = seeded_model(task, trials[0].seed).to(recipe.device)
    work = work_of(task, model, recipe.device)
    traces = len(trials) * setup.steps * _PER_UPDATE
    if engine == "vector":
        with math_attention():
            seconds = expected_seconds(Planner(task, trials, recipe))
        stacks = min(stack_budget(recipe.device), work.held * len(trials))
        # Where so little is to be done that nothing is measured, the loop's time is an upper limit.
        return seconds or _one_by_one(task, recipe, trials), _bytes(task) + stacks + traces
    workers = 1 if options.executor == "in-process" else min(len(trials), options.workers or cores())
    return _one_by_one(task, recipe, trials) / workers, workers * (_bytes(task) + work.held) + traces


def _one_by_one(task: Task, recipe: Recipe, trials: list[Trial]) -> float:
    return loop_seconds(task, trials[0], recipe) * sum(trial.steps for trial in trials)


def _bytes(task: Task) -> int:
    """What the data take, where it is in memory as tensors."""
    total = 0
    for source in (task.train, task.val):
        parts = (*getattr(source, "inputs", ()), getattr(source, "target", None))
        total += sum(part.numel() * part.element_size() for part in parts if isinstance(part, torch.Tensor))
    return total
