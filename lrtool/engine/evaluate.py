"""Validation: sample-weighted means, with nothing of the training state disturbed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from lrtool.engine import rng
from lrtool.engine.batches import index_device
from lrtool.errors import LrtoolError
from lrtool.tasks.base import Task
from lrtool.tasks.failures import task_error
from lrtool.tasks.losses.base import describe
from lrtool.tasks.sources import Batch, Source


def batch_loss(task: Task, model: nn.Module, batch: Batch) -> tuple[Tensor, Any]:
    """The loss of one batch (a scalar) and the model's output; raises TaskError where the user's code fails."""
    try:
        output = batch.forward(model)
    except LrtoolError:
        raise
    except Exception as error:
        raise task_error(error, f"the model's forward pass (inputs: {_shapes(batch.inputs)})") from error
    try:
        return task.loss_of(output, batch.target), output
    except LrtoolError:
        raise
    except Exception as error:
        raise task_error(error, f"the loss ({_fit(output, batch)})") from error


def take(source: Source, index: Tensor) -> Batch:
    """The samples at these indices; raises TaskError where the data set fails."""
    try:
        return source.take(index)
    except LrtoolError:
        raise
    except Exception as error:
        raise task_error(error, "taking samples from the data set") from error


def evaluate(
    task: Task,
    model: nn.Module,
    val: Source,
    device: torch.device,
    autocast: Callable[[], AbstractContextManager[object]],
) -> dict[str, float]:
    """`val_loss` and every metric as `val_<name>`: means over the samples of `val`, which is on `device`.

    The model is in evaluation mode meanwhile and in training mode after; random states stay as they were.
    """
    model.eval()
    try:
        with rng.preserved(device), torch.no_grad():
            rows, sizes = [], []
            # Without stored activations twice the training batch fits where the training batch did.
            for index in slices(len(val), 2 * task.batch_size, index_device(val, device)):
                rows.append(batch_values(task, model, take(val, index), autocast))
                sizes.append(len(index))
            table = torch.stack(rows).cpu().double()
    finally:
        model.train()
    weights = torch.tensor(sizes, dtype=torch.float64) / len(val)
    means = (weights @ table).tolist()
    return dict(zip(["val_loss", *(f"val_{name}" for name in task.metrics)], means, strict=True))


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
                raise task_error(error, f"the metric {name!r} ({_fit(output, batch)})") from error
    return torch.stack(values)


def slices(size: int, length: int, device: torch.device) -> Iterator[Tensor]:
    """The indices 0 … size−1 in order, `length` at a time."""
    for start in range(0, size, length):
        yield torch.arange(start, min(start + length, size), device=device)


def _fit(output: Any, batch: Batch) -> str:
    return f"model output: {describe(output)}, target: {describe(batch.target)}"


def _shapes(inputs: Any) -> str:
    return ", ".join(describe(part) for part in (inputs.values() if isinstance(inputs, Mapping) else inputs))
