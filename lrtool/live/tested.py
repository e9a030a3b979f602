"""A live model and optimizer as a config that may be trained again and again from where they stand."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from lrtool.live.config import checked_spec
from lrtool.live.optimizer import LiveOptimizer
from lrtool.live.preserved import Preserved
from lrtool.live.specs import LiveModel
from lrtool.live.storage import bytes_of, free_memory
from lrtool.optimizers import Optimizer

#: So many times the model must fit beside what there is for trials to train copies of it.
_TIMES = 8


def repeated(model: nn.Module, optimizer: Any, state: Preserved) -> tuple[LiveModel, LiveOptimizer | Optimizer]:
    """Model and optimizer for trials that all begin at the present weights.

    With an optimizer that is there, or a model too large to be copied, trials train the model itself, and `state` is
    put back before each. Else they train copies, which can be stacked side by side.
    """
    modes = _own_modes(model)
    if not isinstance(optimizer, torch.optim.Optimizer):
        spec = checked_spec(optimizer)
        if modes is None and can_be_copied(model):
            return LiveModel.copied(model), spec
        live = LiveOptimizer.in_place(spec, _preparing(model, state, modes))
    else:
        live = LiveOptimizer.of(optimizer, _preparing(model, state, modes))
    return LiveModel.of(lambda: _rewound(model, state), model), live


def can_be_copied(model: nn.Module) -> bool:
    """Whether copies of a model can be made, and several of them fit into what is free on its device."""
    tensors = [*model.parameters(), *model.buffers()]
    free = free_on(tensors[0].device)
    if free is not None and bytes_of(tensors) * _TIMES > free:
        return False
    try:
        copy.deepcopy(model)
    except Exception:
        return False
    return True


def free_on(device: torch.device) -> int | None:
    """Bytes that are free on a device; None where that is not known."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return free_memory()


def _rewound(model: nn.Module, state: Preserved) -> nn.Module:
    """The model itself, as it was; what is compiled runs as it is written, so that nothing is compiled for a test."""
    state.rewind()
    for module in model.modules():
        if getattr(module, "_compiled_call_impl", None) is not None:
            module._compiled_call_impl = None
    return model


def _own_modes(model: nn.Module) -> list[tuple[nn.Module, bool]] | None:
    """The mode of each module of a model in training, where some are in evaluation mode on purpose; else None."""
    modes = [(module, module.training) for module in model.modules()]
    return modes if model.training and not all(mode for _, mode in modes) else None


def _preparing(model: nn.Module, state: Preserved, modes: list[tuple[nn.Module, bool]] | None) -> Any:
    """What has to be done before an update; None if nothing."""
    own = {id(p) for p in model.parameters()}
    beside = [p for p in state.parameters if id(p) not in own]
    if modes is None and not beside:
        return None

    def prepare() -> None:
        for module, mode in modes or ():
            module.training = mode
        # Those of the model are cleared by who trains it; a loss may have parameters, too.
        for parameter in beside:
            parameter.grad = None

    return prepare
