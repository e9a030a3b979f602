"""The skeleton: the one model whose code trains a whole stack, with the stack's tensors in place of its own."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from lrtool.engine import rng
from lrtool.engine.batches import batch_loss, slices, take
from lrtool.tasks.base import Task, seeded_model
from lrtool.tasks.failures import guarded
from lrtool.tasks.sources import TensorSource

_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def skeleton_of(task: Task, device: torch.device, seed: int = 0) -> nn.Module:
    """A model of the task after a first pass of each kind, so that what it only makes once is made outside the stack.

    `task` is on the device. Raises TaskError where the user's code fails.
    """
    with guarded("building the model", "model"):
        model = seeded_model(task, seed).to(device).train()
    with rng.preserved(device):
        batch_loss(task, model, take(task.train, torch.arange(task.batch_size, device=device)))
        if task.val is not None:
            model.eval()
            with torch.no_grad():
                for index in shapes(len(task.val), 2 * task.batch_size, device):
                    batch_loss(task, model, take(task.val, index))
            model.train()
    return model


def shapes(size: int, length: int, device: torch.device) -> list[Tensor]:
    """One batch of each size that a validation has: the first, and the last where it is smaller."""
    every = [size // length * length] if size % length and size > length else []
    return [next(slices(size, length, device)), *(torch.arange(start, size, device=device) for start in every)]


def shortened(task: Task, device: torch.device) -> Task:
    """The task with as little validation data as has a batch of each size."""
    if not isinstance(task.val, TensorSource):
        return task
    index = torch.cat(shapes(len(task.val), 2 * task.batch_size, device))
    batch = task.val.take(index)
    assert isinstance(batch.inputs, tuple)
    return replace(task, val=TensorSource(batch.inputs, batch.target))


def without_dropout(model: nn.Module) -> nn.Module:
    """The model, with all of torch's own dropout at 0."""
    for module in model.modules():
        if isinstance(module, _DROPOUTS):
            module.p = 0.0
        elif isinstance(module, nn.RNNBase | nn.MultiheadAttention):
            module.dropout = 0.0
    return model
