"""The forecast of a sweep that `--dry-run` shows: groups, engines, time and memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from lrtool.analysis.pruning import Pruner
from lrtool.engine.choice import Choice, choose_engine
from lrtool.engine.cost.work import work_of
from lrtool.engine.trials import EngineName, Recipe, Trial
from lrtool.engine.vector.costs import stack_budget
from lrtool.errors import LrtoolError
from lrtool.executors import AUTO, EXECUTORS, Requirements, unasked
from lrtool.experiments.setup import Setup
from lrtool.experiments.sweep.grouping import Group
from lrtool.experiments.sweep.jobs import recipe_of, setup_of, trace_bytes, trial_of
from lrtool.experiments.sweep.options import Options
from lrtool.tasks.base import Task, seeded_model


@dataclass(frozen=True)
class Forecast:
    """The forecast of one group: how it would be trained, how long, and in how much memory.

    About so many `seconds` and `bytes`; None: unknown. `updates` of all its trials, about, after what pruning saves.
    """

    trials: int
    steps: int
    updates: int
    like: str
    engine: EngineName
    reason: str
    seconds: float | None
    bytes: int | None


def forecast(group: Group, options: Options, prune: Pruner | None = None) -> Forecast:
    """Look at a group: builds it, chooses its engine, times a few updates."""
    like, count = group.trials[0].variant, len(group.trials)
    try:
        setup = setup_of(group, options.allow_import)
        recipe = recipe_of(setup)
        trials = [trial_of(setup, planned) for planned in group.trials]
        choice = choose_engine(setup.task, trials, recipe)
        seconds, size = _costs(setup, recipe, trials, choice, options)
    except LrtoolError as error:
        return Forecast(count, 0, 0, like, EngineName.LOOP, str(error).splitlines()[0], None, None)
    share = prune.share if prune is not None else 1.0
    updates = round(count * setup.steps * share)
    return Forecast(count, setup.steps, updates, like, choice.name, choice.why, seconds * share, size)


def forecasts(groups: list[Group], options: Options, prune: Pruner | None = None) -> list[Forecast]:
    """Look at every group."""
    return [forecast(group, options, prune) for group in groups]


def document(found: list[Forecast], trials: int, tuned: int, prune: Pruner | None = None) -> dict[str, Any]:
    """The plan for scripts; `tuned` LR searches come first. `pruning` is the part of all updates that it leaves."""
    known = [each.seconds for each in found if each.seconds is not None]
    sizes = [each.bytes for each in found if each.bytes is not None]
    return {
        "trials": trials,
        "lr_searches": tuned,
        "pruning": prune.share if prune is not None else None,
        "groups": [vars(each) for each in found],
        "seconds": sum(known) if len(known) == len(found) else None,
        "bytes": max(sizes) if sizes else None,
    }


def _costs(setup: Setup, recipe: Recipe, trials: list[Trial], choice: Choice, options: Options) -> tuple[float, int]:
    task = setup.task.to(recipe.device)
    model = seeded_model(task, trials[0].seed).to(recipe.device)
    work = work_of(task, model, recipe.device)
    traces = trace_bytes(len(trials), setup.steps)
    if choice.name is EngineName.VECTOR:
        stacks = min(stack_budget(recipe.device), work.held * len(trials))
        return choice.costs.seconds.likely, _bytes(task) + stacks + traces
    workers = min(len(trials), _workers(options, setup.config.device))
    return choice.costs.one_by_one / workers, workers * (_bytes(task) + work.held) + traces


def _workers(options: Options, device: str) -> int:
    """How many trials would be trained at once; a cluster is not joined only to look."""
    if options.executor == AUTO:
        return unasked(math.inf, options.workers, device).workers
    cls = EXECUTORS[options.executor]
    return options.workers or 1 if cls.elsewhere else cls.start(options.workers, Requirements(device=device)).workers


def _bytes(task: Task) -> int:
    """What the data take, where it is in memory as tensors."""
    total = 0
    for source in (task.train, task.val):
        parts = (*getattr(source, "inputs", ()), getattr(source, "target", None))
        total += sum(part.numel() * part.element_size() for part in parts if isinstance(part, torch.Tensor))
    return total
