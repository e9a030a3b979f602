"""A single update before a run: whether everything in it works, and whether its trials can be stacked."""

from __future__ import annotations

from dataclasses import replace

from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.vector.proof.stackable import why_not_stackable
from lrtool.errors import TaskError
from lrtool.experiments.setup import Setup
from lrtool.status import Status


def try_update(setup: Setup) -> float:
    """The training loss of the first update of the configured run: forward, backward, clipping and optimizer.

    The schedule is bound to the whole run; nothing is evaluated or written. Raises TaskError where the user's
    code fails or the loss is not finite, UsageError where the schedule does not fit the run.
    """
    trial = replace(setup.trial(setup.config.seed, setup.config.optimizer.lr), steps=1)
    task = replace(setup.task, val=None)
    (trace,) = LoopEngine().run(task, [trial], replace(setup.recipe, eval_every=0))
    if trace.status is not Status.FINISHED:
        raise TaskError(
            f"the first update already fails: {trace.reason}",
            where="data",
            remedy="look for values in the data, the model or the loss that are not finite or very large",
        )
    return float(trace.train_loss[0])


def stacks(setup: Setup) -> str:
    """Whether many trials can train as one stack: "yes", or "no: " and the line, operator or setting in the way."""
    reason = why_not_stackable(setup.task.to(setup.recipe.device), setup.recipe, setup.config.seed)
    return "yes" if reason is None else f"no: {reason}"
