"""Settings of a task or recipe that the vector engine cannot train, and the error that says so."""

from __future__ import annotations

from lrtool.engine import private
from lrtool.engine.trials import Recipe
from lrtool.errors import UsageError
from lrtool.tasks.base import Task
from lrtool.tasks.sources import TensorSource


class NotStackableError(UsageError):
    """These models or settings cannot be trained as a stack; `why` names the line, operator or setting."""

    def __init__(self, why: str) -> None:
        super().__init__(f"these trials cannot be stacked: {why}", remedy="use the loop engine")
        self.why = why


def obstacle(task: Task, recipe: Recipe) -> str | None:
    """What about these settings cannot be stacked, without trying; None if nothing."""
    if not private.OPERATORS_SHOWN:
        return "this version of torch does not show which operators a model runs"
    if not isinstance(task.train, TensorSource) or not isinstance(task.val, TensorSource | None):
        return "the data set is read sample by sample"
    if task.uneven:
        return "the last batch of an epoch is smaller (data.drop_last: true leaves it out)"
    if task.whole_batches:
        return "the model takes batches of one size only"
    if recipe.precision != "fp32":
        return f"precision {recipe.precision} is not stacked"
    if not recipe.optimizer.stackable:
        name = getattr(recipe.optimizer, "use", recipe.optimizer.kind)
        return f"the optimizer {name} has no stacked form"
    if recipe.recoveries:
        return "train.on_divergence: restore_and_halve_lr goes back in one trial at a time"
    if recipe.plateau is not None:
        return "a plateau follows each trial's own evaluations"
    return None
