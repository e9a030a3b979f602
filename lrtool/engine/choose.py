"""Which engine trains these trials, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from lrtool.engine.device import intra_threads
from lrtool.engine.forked import can_fork
from lrtool.engine.loop import LoopEngine
from lrtool.engine.planning import FEW, Planner, expected_seconds, stack_budget
from lrtool.engine.probing import probe
from lrtool.engine.stacking import math_attention, work_of
from lrtool.engine.threads import worthwhile_threads
from lrtool.engine.trials import Engine, Recipe, Trial
from lrtool.engine.vector import VectorEngine
from lrtool.tasks.base import Task, seeded_model

#: Updates of one trial that the loop engine is timed with; the first few warm up.
_TIMED, _WARM = 16, 4

#: A stack that looks slower, but less than this many times, is measured again: a busy machine may have spoiled it.
_DOUBTFUL = 4.0


class Choice(NamedTuple):
    """An engine, and the reason as a clause for people ("loop: one trial has no company").

    `speedup`: the time that the trials would take one after the other, over what they are expected to; 1 where not
    measured.
    """

    engine: Engine
    reason: str
    speedup: float = 1.0


def choose_engine(
    task: Task, trials: Sequence[Trial], recipe: Recipe, said: Callable[[str], None] | None = None
) -> Choice:
    """The engine that trains these trials soonest, by trying and timing; `said` hears how a vector engine trains.

    Models that cannot be stacked train one by one, and so do those whose stack is measured to be slower: large
    models, which keep the machine busy by themselves. Raises TaskError where the user's code fails.
    """
    if len(trials) < 2:
        return Choice(LoopEngine(), "loop: one trial has no company")
    there = task.to(recipe.device)
    reason = probe(there, recipe, trials[0].seed)
    updates = sum(trial.steps for trial in trials)
    if reason is not None:
        return looped(there, trials, recipe, f"these trials cannot be stacked: {reason}")
    if updates < FEW:
        return Choice(VectorEngine(said=said), f"vector: {len(trials)} trials side by side")
    seconds = loop_seconds(there, trials[0], recipe)
    loop = looped(there, trials, recipe, "stacking is slower for this model", seconds)
    one = seconds * updates
    alone = one / loop.speedup
    with math_attention():
        planner = Planner(there, trials, recipe)
        together = expected_seconds(planner)
        if alone <= together < _DOUBTFUL * alone:
            planner.measure_again()
            together = expected_seconds(planner)
    if together >= alone:
        return loop._replace(reason=f"{loop.reason} ({together:.1f} s against {alone:.1f} s)")
    return Choice(
        VectorEngine(said=said),
        f"vector: {len(trials)} trials side by side, in about {together:.1f} s; one by one would take {one:.1f} s",
        one / together,
    )


def looped(task: Task, trials: Sequence[Trial], recipe: Recipe, why: str, seconds: float | None = None) -> Choice:
    """The loop engine, with as many workers as there are cores where so many models fit.

    `seconds`: those of an update of one trial alone, where they are known already.
    """
    model = seeded_model(task, trials[0].seed).to(recipe.device)
    workers = _workers(task, model, recipe)
    if workers == 1:
        return Choice(LoopEngine(), f"loop: {why}")
    speedup = float(workers)
    if worthwhile_threads(task, model, recipe.device) > 1:
        one = seconds if seconds is not None else loop_seconds(task, trials[0], recipe)
        with intra_threads(1):
            speedup *= one / loop_seconds(task, trials[0], recipe)
    return Choice(LoopEngine(workers=workers), f"loop: {why}; {workers} processes with a trial each", speedup)


def _workers(task: Task, model: nn.Module, recipe: Recipe) -> int:
    """One for each core; a single one, with all threads, where they would not fit or cannot be started."""
    workers = torch.get_num_threads()
    if workers < 2 or not can_fork(recipe.device):
        return 1
    try:
        held = work_of(task, model, recipe.device).held
    except Exception:
        # What it cannot do without a gradient it may well do in training.
        return 1
    return workers if workers * held <= stack_budget(recipe.device) else 1


def loop_seconds(task: Task, trial: Trial, recipe: Recipe) -> float:
    """Seconds per update of one trial alone, evaluations left out: the median of a few, as the first ones warm up."""
    short = replace(trial, steps=min(_TIMED, trial.steps))
    quiet = replace(recipe, eval_every=0, stop_on_divergence=False, plateau=None)
    (trace,) = LoopEngine().run(replace(task, val=None), [short], quiet)
    return float(np.median(trace.seconds[min(_WARM, trace.steps - 1) :]))
