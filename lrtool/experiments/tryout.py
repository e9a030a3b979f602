"""A single update before a run: whether everything in it works, and whether its trials can be stacked."""

from __future__ import annotations

from dataclasses import replace

from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.vector.proof.stackable import why_not_stackable
from lrtool.errors import TaskError
from lrtool.experiments.setup import Setup
from lrtool.status import Status
from lrtool.tasks.base import Task
from lrtool.tasks.sources import first_part


def try_update(setup: Setup) -> dict[str, float]:
    """The losses of the first update of the configured run, `first_loss`, and of validation after it, `first_val_loss`.

    Forward, backward, clipping and optimizer, then a validation batch of each size that there is. The schedule is bound
    to the whole run; nothing is written. Raises TaskError where the user's code fails or the training loss is not
    finite, UsageError where the schedule does not fit the run.
    """
    trial = replace(setup.trial(setup.config.seed, setup.config.optimizer.lr), steps=1)
    (trace,) = LoopEngine().run(_briefly_validated(setup.task), [trial], replace(setup.recipe, eval_every=0))
    if trace.status is not Status.FINISHED:
        raise TaskError(
            f"the first update already fails: {trace.reason}",
            where="data",
            remedy="look for values in the data, the model or the loss that are not finite or very large",
        )
    val_loss = {f"first_{name}": trace.evaluations[-1].values[name] for name in ("val_loss",) if trace.evaluations}
    return {"first_loss": float(trace.train_loss[0]), **val_loss}


def _briefly_validated(task: Task) -> Task:
    """The task with only as much validation data as has a batch of each size."""
    if task.val is None:
        return task
    whole = task.val_batch_size
    size = min(task.val_samples, whole + task.val_samples % whole)
    return replace(task, val=first_part(task.val, size))


def stacks(setup: Setup) -> str:
    """Whether many trials can train as one stack: "yes", or "no: " and the line, operator or setting in the way."""
    reason = why_not_stackable(setup.task.to(setup.recipe.device), setup.recipe, setup.config.seed)
    return "yes" if reason is None else f"no: {reason}"
