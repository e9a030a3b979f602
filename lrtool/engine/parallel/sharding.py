"""A model spread over processes (FSDP2): which parts of it come together at once, and whole tensors from shards."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from lrtool.engine.parallel.ranks import Ranks
from lrtool.errors import UsageError


def shard(model: nn.Module, device: torch.device, ranks: Ranks) -> nn.Module:
    """The same model, each parameter spread over the processes by its first axis.

    The blocks of its lists and sequences come together one by one, as the forward pass gets to them, the rest at once.
    """
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.fsdp import fully_shard

    if any(p.ndim == 0 for p in model.parameters()):
        raise UsageError(
            "a parameter that is a single number cannot be spread over processes",
            where="--fsdp",
            remedy="give it the shape (1,), or leave out --fsdp",
        )
    mesh = DeviceMesh.from_group(ranks.group, device.type)
    for block in _blocks(model):
        fully_shard(block, mesh=mesh)
    sharded: Any = fully_shard(model, mesh=mesh)
    whole_model: nn.Module = sharded.to(device)
    return whole_model


def whole(tensor: Tensor) -> Tensor:
    """A tensor itself, brought together where this process has only a part of it; all processes must ask for it."""
    full = getattr(tensor, "full_tensor", None)
    return tensor if full is None else full()


def local(tensor: Tensor) -> Tensor:
    """The part of a tensor that this process has: all of it, or its shard."""
    part = getattr(tensor, "to_local", None)
    return tensor if part is None else part()


def spread_like(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor spread as another one of its shape is; as it is where that is whole, or of another shape."""
    if not hasattr(like, "full_tensor") or tensor.shape != like.shape:
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)
    mesh = like.device_mesh
    return distribute_tensor(tensor.to(mesh.device_type), mesh, like.placements)


def _blocks(model: nn.Module) -> list[nn.Module]:
    """The modules in lists and sequences that have parameters of their own, which nothing else uses too."""
    users = Counter(id(p) for module in model.modules() for p in module._parameters.values() if p is not None)
    found: list[nn.Module] = []
    seen: set[int] = set()
    for holder in model.modules():
        if not isinstance(holder, nn.ModuleList | nn.Sequential):
            continue
        for block in holder.children():
            parameters = list(block.parameters())
            inside = {id(module) for module in block.modules()}
            own = all(users[id(p)] == 1 for p in parameters)
            callable_ = not isinstance(block, nn.ModuleList | nn.ModuleDict | nn.ParameterList | nn.ParameterDict)
            if parameters and own and callable_ and not inside & seen:
                seen |= inside
                found.append(block)
    return found
