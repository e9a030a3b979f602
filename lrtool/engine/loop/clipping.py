"""Norms of all gradients, and clipping by them, sparse gradients included."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lrtool.engine.parallel.sharding import whole


def clipped_norm(parameters: Sequence[nn.Parameter], limit: float | None) -> Tensor:
    """The gradients' global norm before they are clipped to `limit` (None: they stay)."""
    sparse = [p for p in parameters if p.grad is not None and p.grad.is_sparse]
    if limit is not None and not sparse:
        return nn.utils.clip_grad_norm_(parameters, limit)
    # torch knows no norm of a sparse tensor; what was looked up twice in a batch must be added up first.
    norm = nn.utils.get_total_norm([_values(p.grad) for p in parameters if p.grad is not None])
    if limit is not None:
        nn.utils.clip_grads_with_norm_([p for p in parameters if p.grad is None or not p.grad.is_sparse], limit, norm)
        scale = (limit / (norm + 1e-6)).clamp(max=1.0)
        for parameter in sparse:
            if parameter.grad is not None:
                parameter.grad = parameter.grad * scale
    return norm


def gradient_norms(parameters: Sequence[nn.Parameter], limit: float | None, wanted: bool = True) -> Tensor | None:
    """Clip to `limit` (None: not at all); gives the L2 and L1 norm before, (2,), on their device, where `wanted`."""
    if not wanted:
        clipped_norm(parameters, limit)
        return None
    absolute = nn.utils.get_total_norm([_values(p.grad) for p in parameters if p.grad is not None], norm_type=1.0)
    # Where a process has only its part of the parameters, norms are of all.
    return torch.stack([whole(clipped_norm(parameters, limit)), whole(absolute)])


def _values(gradient: Tensor) -> Tensor:
    return gradient.coalesce().values() if gradient.is_sparse else gradient
