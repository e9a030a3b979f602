"""Batch norm over the samples of all processes, so that a divided batch is normalised as a whole one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from lrtool.engine.parallel.ranks import Ranks

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def has_norms(model: nn.Module) -> bool:
    """Whether a model normalises over the batch."""
    return any(isinstance(module, _NORMS) for module in model.modules())


class SyncedNorms(TorchFunctionMode):
    """Inside, `batch_norm` in training takes mean and variance over all processes' samples; modules stay as they are.

    y = (x − μ)/√(σ² + ε)·γ + β with μ, σ² of every process's x; what is remembered is
    (1 − momentum)·old + momentum·(μ, σ²·n/(n − 1)), as in one process.
    """

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self._ranks = ranks

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Every function of torch comes by here; all but `batch_norm` go on as they are."""
        given: Mapping[str, Any] = kwargs or {}
        if func is functional.batch_norm:
            return self._batch_norm(*args, **given)
        return func(*args, **given)

    def _batch_norm(
        self,
        x: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if not training:
            return functional.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
        shape, axes = [1, -1, *[1] * (x.ndim - 2)], [0, *range(2, x.ndim)]
        # As torch itself does for half precision: the sums are in full.
        values = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        count = values.new_tensor([values.numel() / values.shape[1]])
        sums = self._sum(torch.cat([values.sum(axes), count]))
        n = sums[-1].detach()
        mean = sums[:-1] / n
        centred = values - mean.view(shape)
        var = self._sum(centred.square().sum(axes)) / n
        y = centred * (var + eps).rsqrt().view(shape)
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                running_mean.lerp_(mean.to(running_mean), momentum)
                running_var.lerp_((var * (n / (n - 1).clamp(min=1))).to(running_var), momentum)
        if weight is not None:
            y = y * weight.view(shape)
        if bias is not None:
            y = y + bias.view(shape)
        return y.to(x.dtype)

    def _sum(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        total: Tensor = _Sum.apply(values, self._ranks)  # type: ignore[no-untyped-call]
        return total


class _Sum(torch.autograd.Function):
    """The sum over all processes; what each process's loss makes of it comes back to every process."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        return ranks.total(values.clone())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        ranks: Ranks = ctx.ranks
        return ranks.total(gradients[0].contiguous().clone()), None
