"""Numeric precision: autocast, and loss scaling for fp16."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal

import torch
from torch import Tensor

from lrtool.engine.private import hides_overflow

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
#: Skipped updates in a row after which no loss scale will help (2¹⁶ halved 40 times is 2⁻²⁴).
MAX_SKIPS = 40


class Precision:
    """Runs forward passes under autocast and optimizer steps under a loss scale.

    An update whose scaled gradients overflow is skipped by the scaler. That is seen without asking the
    device: a hook on the optimizer says whether its `step` ran. Only optimizers that look at the overflow
    flag themselves (fused ones) hide it; for those the scale is compared, which costs a transfer per update.
    """

    def __init__(
        self, name: Literal["fp32", "bf16", "fp16"], device: torch.device, optimizer: torch.optim.Optimizer
    ) -> None:
        self.device, self.dtype, self.optimizer = device, _DTYPES.get(name), optimizer
        self.scaler: Any = new_scaler(device) if name == "fp16" else None
        self._stepped = False
        if self.scaler is not None:
            optimizer.register_step_post_hook(self._on_step)

    def autocast(self) -> AbstractContextManager[object]:
        """The context of a forward pass."""
        if self.dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def backward(self, loss: Tensor) -> None:
        """Add the loss's (scaled) gradients."""
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()

    def unscale(self) -> None:
        """Bring the gradients to their true size, before they are clipped or measured."""
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)

    def step(self) -> bool:
        """Update the parameters; False where the scaler skipped it."""
        if self.scaler is None:
            self.optimizer.step()
            return True
        self._stepped = False
        hidden = hides_overflow(self.optimizer)
        before = self.scaler.get_scale() if hidden else 0.0
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return self.scaler.get_scale() >= before if hidden else self._stepped

    def state(self) -> dict[str, Any] | None:
        """The loss scale and its history as plain data; None without loss scaling."""
        return None if self.scaler is None else dict(self.scaler.state_dict())

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Put back what `state` gave."""
        if self.scaler is not None and state:
            self.scaler.load_state_dict(dict(state))

    def _on_step(self, *_: Any) -> None:
        self._stepped = True


def new_scaler(device: torch.device) -> Any:
    """torch's gradient scaler for a device."""
    return torch.amp.GradScaler(device.type)
