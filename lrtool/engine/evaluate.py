"""Validation of one model: sample-weighted means, with nothing of the training state disturbed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from lrtool.engine import rng
from lrtool.engine.batches import batch_loss, index_device, output_and_target, slices, take
from lrtool.engine.parallel.ranks import ALONE, Ranks
from lrtool.tasks.base import Task
from lrtool.tasks.failures import task_error
from lrtool.tasks.sources import Batch, Source


def evaluate(
    task: Task,
    model: nn.Module,
    val: Source,
    device: torch.device,
    autocast: Callable[[], AbstractContextManager[object]],
    ranks: Ranks = ALONE,
) -> dict[str, float]:
    """`val_loss` and every metric as `val_<name>`: means over the samples of `val`, which is on `device`.

    The model is in evaluation mode meanwhile and in training mode after; random states stay as they were. Of several
    processes each takes every so many-th batch, and all get the means over all.
    """
    ranks.same_buffers(model)
    batches = list(slices(task.val_samples, task.val_batch_size, index_device(val, device)))
    own = batches[ranks.rank :: ranks.size]
    # Shards are brought together by all processes at once: who has no batch left looks at another's and drops it.
    spare = [batches[0]] * (ranks.sharded * (-(-len(batches) // ranks.size) - len(own)))
    model.eval()
    try:
        with rng.preserved(device), torch.no_grad():
            rows = [batch_values(task, model, take(val, index), autocast) for index in (*own, *spare)]
            # Who has no batch has no row either.
            table = (
                torch.stack(rows[: len(own)]).cpu().double() if own else torch.zeros(0, 1 + len(task.metrics)).double()
            )
    finally:
        model.train()
    weights = torch.tensor([len(index) for index in own], dtype=torch.float64) / task.val_samples
    return task.evaluation(ranks.total(weights @ table).tolist())


def batch_values(
    task: Task, model: nn.Module, batch: Batch, autocast: Callable[[], AbstractContextManager[object]]
) -> Tensor:
    """Loss and metrics of one batch, shape (1 + metrics,), left on the device."""
    with autocast():
        loss, output = batch_loss(task, model, batch)
        dtype = torch.promote_types(loss.dtype, torch.float32)
        values = [loss.to(dtype)]
        for name, metric in task.metrics.items():
            try:
                values.append(metric.per_sample(output, batch.target).to(dtype).mean())
            except Exception as error:
                raise task_error(error, f"the metric {name!r} ({output_and_target(output, batch)})") from error
    return torch.stack(values)
