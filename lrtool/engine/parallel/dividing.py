"""Whether a batch may be divided: its samples suffice, and its loss is the mean of those of its parts."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lrtool.engine import rng
from lrtool.engine.batches import batch_loss, take
from lrtool.engine.parallel.ranks import Ranks
from lrtool.errors import LrtoolError, UsageError
from lrtool.tasks.base import Task

#: Samples of each of the parts that are looked at, at most.
_SAMPLES = 4
#: By how much the losses of the parts may miss that of the whole: rounding, not another mean.
_CLOSE = 2e-5


def check_divides(task: Task, model: nn.Module, index: Tensor, ranks: Ranks) -> None:
    """Raise UsageError where the processes could not share in a batch; `index`: the samples of the first one.

    The loss is looked at once for each task, on a few samples, in evaluation mode.
    """
    if ranks.alone or task.loss in ranks.kept:
        return
    if task.batch_size < ranks.size:
        raise UsageError(
            f"a batch of {task.batch_size} cannot be divided among {ranks.size} processes",
            where="data.batch_size",
            remedy=f"write at least {ranks.size}, or start {task.batch_size} processes (--nproc-per-node)",
        )
    if task.whole_batches:
        raise UsageError(
            f"the model takes batches of {task.batch_size} samples and no others, so none can be divided",
            where="model",
            remedy="start one process, or a model that takes any number of samples",
        )
    ranks.kept[task.loss] = True
    if not hasattr(task.loss, "weight"):
        _check_loss(task, model, index, ranks)


def _check_loss(task: Task, model: nn.Module, index: Tensor, ranks: Ranks) -> None:
    part = min(_SAMPLES, len(index) // 2)
    if not part:
        return
    first, second, both = index[:part], index[part : 2 * part], index[: 2 * part]
    model.eval()
    try:
        with rng.preserved(torch.device(index.device)), torch.no_grad():
            losses = [float(batch_loss(task, model, take(task.train, each))[0]) for each in (first, second, both)]
    except LrtoolError:
        # Training will say what is wrong.
        return
    finally:
        model.train()
    mean = (losses[0] + losses[1]) / 2
    if all(map(math.isfinite, losses)) and abs(mean - losses[2]) > _CLOSE * abs(losses[2]) + 1e-6:
        raise UsageError(
            f"the loss of {2 * part} samples ({losses[2]:.4g}) is not the mean of the losses of its halves"
            f" ({mean:.4g}), so {ranks.size} processes cannot share in a batch",
            where="loss",
            remedy="return the mean over the samples, or give the loss a method weight(output, target): the number that"
            " it divides by; or train in one process",
        )
