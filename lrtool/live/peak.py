"""A new peak LR for an optimizer that is there, in its groups and in the schedulers that drive it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lrtool.live.curve_lr import CurveLR
from lrtool.live.optimizer import base_lr, set_lrs
from lrtool.live.preserved import attached_schedulers

#: What groups and schedulers of torch keep of the LRs they were made with.
_OF_GROUPS = ("initial_lr", "max_lr", "min_lr")
_OF_SCHEDULERS = ("base_lrs", "max_lrs", "_last_lr", "min_lrs")


def set_peak(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Make `lr` the peak LR: of the first group with one above 0, and of the others in proportion.

    Groups, and LR schedulers wherever they are, go on as if the optimizer had been made with it: one that is in the
    middle of a warm-up stays there, at as many times the LR as the peak is larger.
    """
    before = base_lr(optimizer)

    def scaled(value: Any) -> Any:
        """As many times more; what is the peak now is exactly the new one."""
        if isinstance(value, Tensor):
            return value * (lr / before)
        return lr * (float(value) / before)

    set_lrs(optimizer, [float(scaled(float(group["lr"]))) for group in optimizer.param_groups])
    for group in optimizer.param_groups:
        for name in _OF_GROUPS:
            if name in group:
                group[name] = scaled(group[name])
    for scheduler in attached_schedulers(optimizer):
        for name in _OF_SCHEDULERS:
            if isinstance(held := getattr(scheduler, name, None), list):
                setattr(scheduler, name, [scaled(each) for each in held])
        if isinstance(scheduler, CurveLR):
            scheduler.scale(lr / before)
