"""What people wrap models and optimizers in, and what can be trained of it here."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn

from lrtool.errors import UsageError
from lrtool.tasks.arranging import is_lazy

#: Wrappers whose `module` is a whole model.
_WHOLE = ("DistributedDataParallel", "DataParallel")
#: What holds only a part of the model in this process.
_SHARDED = ("FullyShardedDataParallel", "DeepSpeedEngine", "PipelineModule", "FSDPModule")
_ONE_PROCESS = "test the model before it is wrapped, in one process, and use the LR in all"
#: Of one that may fit in no process as a whole.
_OF_A_CONFIG = f"{_ONE_PROCESS}; one that fits no single device: torchrun … -m lrtool range-test CONFIG --fsdp"


def bare_model(model: Any) -> nn.Module:
    """The model inside wrappers: of a compiled one what it was compiled from, of a replicated one this process's copy.

    Its numbers are the same, and nothing is compiled or sent to other processes for the test. Raises UsageError for
    what cannot be tested: parts of a model, layers without a size, nothing to train.
    """
    if isinstance(model, type) or not isinstance(model, nn.Module):
        what = f"the class {model.__name__} itself" if isinstance(model, type) else f"{type(model).__name__}"
        raise UsageError(f"the model is no nn.Module but {what}", where="model", remedy="pass an instance of one")
    while True:
        names = {cls.__name__ for cls in type(model).__mro__}
        if names & set(_SHARDED):
            raise UsageError(
                f"a {type(model).__name__} has only a part of the model here", where="model", remedy=_OF_A_CONFIG
            )
        inner = getattr(model, "_orig_mod", None)
        if inner is None and names & set(_WHOLE):
            inner = model.module
        if not isinstance(inner, nn.Module):
            break
        model = inner
    bare: nn.Module = model
    _check(bare)
    return bare


def is_replicated(model: Any) -> bool:
    """Whether a model, or what it was compiled from, is one of the copies of a process group (DDP)."""
    while isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
        model = inner
    return isinstance(model, nn.parallel.DistributedDataParallel)


def _check(model: nn.Module) -> None:
    tensors = [*model.parameters(), *model.buffers()]
    if any(type(each).__name__ == "DTensor" for each in tensors):
        raise UsageError("the model's parameters are sharded over processes", where="model", remedy=_OF_A_CONFIG)
    if is_lazy(model):
        raise UsageError(
            "the model has layers that do not know their sizes yet",
            where="model",
            remedy="pass one batch through it first: model(x)",
        )
    if any(each.is_meta for each in tensors):
        raise UsageError("parameters on the meta device have no values", where="model", remedy="load them first")
    if not any(each.requires_grad for each in model.parameters()):
        what = "has no parameters" if not any(True for _ in model.parameters()) else "has only frozen parameters"
        raise UsageError(f"the model {what}, so nothing can be trained", where="model", remedy="unfreeze some")


def device_of(model: nn.Module) -> str:
    """The device that a model's inputs go to, as a config names it: that of its first parameter."""
    device = next(model.parameters()).device
    return device.type if device.type != "cuda" or device.index is None else str(device)


def bare_optimizer(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """The torch optimizer inside wrappers; UsageError for one that cannot take a plain step."""
    while isinstance(inner := getattr(optimizer, "optimizer", None), torch.optim.Optimizer):
        optimizer = inner
    if type(optimizer).__name__ == "ZeroRedundancyOptimizer":
        raise UsageError("the optimizer's state is spread over processes", where="optimizer", remedy=_ONE_PROCESS)
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise UsageError(
            f"{type(optimizer).__name__} evaluates the loss several times in a step, by a closure",
            where="optimizer",
            remedy="name an optimizer that takes one step a batch",
        )
    return optimizer


def check_belongs(optimizer: torch.optim.Optimizer, model: nn.Module) -> None:
    """UsageError where an optimizer trains nothing of a model, as after the model was made anew or copied."""
    own = {id(p) for p in model.parameters() if p.requires_grad}
    if not any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
        raise UsageError(
            "the optimizer trains no parameter of this model",
            where="optimizer",
            remedy="make it with this model's parameters, after the model has its final form",
        )
