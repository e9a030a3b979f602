"""The state of models and optimizers as tensors and plain data, and back, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lrtool.errors import TaskError, UsageError

_PLAIN = (bool, int, float, str, type(None))


def model_state(model: nn.Module) -> dict[str, Tensor]:
    """Copies, on the CPU, of every parameter and buffer, those left out of `state_dict` included.

    Raises TaskError for a module that keeps anything else there (`get_extra_state`).
    """
    extra = [name for name, value in model.state_dict().items() if not isinstance(value, Tensor)]
    if extra:
        raise TaskError(
            f"the model keeps state that is not a tensor: {', '.join(extra)}",
            where="model",
            remedy="keep it in a buffer (register_buffer), so that a checkpoint can hold it",
        )
    return {name: _copy(tensor) for name, tensor in _tensors(model).items()}


def load_model_state(model: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Put back what `model_state` gave; raises UsageError where it belongs to another model."""
    own = _tensors(model)
    if own.keys() != state.keys():
        differing = sorted(own.keys() ^ state.keys())
        name = differing[0]
        raise _mismatch(where, f"{name} is only in the {'model' if name in own else 'checkpoint'}")
    for name, tensor in own.items():
        if tensor.shape != state[name].shape or tensor.dtype != state[name].dtype:
            saved = f"{tuple(state[name].shape)} {state[name].dtype}"
            raise _mismatch(where, f"{name} is {saved} there, {tuple(tensor.shape)} {tensor.dtype} in the model")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(state[name])


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Copies, on the CPU, of the tensors of a model's `state_dict`, to keep or to hand out."""
    return {name: _copy(value) for name, value in model.state_dict().items() if isinstance(value, Tensor)}


def optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's state as tensors by `<parameter>/<key>`, and the rest as plain data."""
    state = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {"class": type(optimizer).__name__, "state": {}, "groups": []}
    for index, entries in state["state"].items():
        plain["state"][str(index)] = rest = {}
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{index}/{key}"] = _copy(value)
            else:
                rest[key] = _plain(key, value)
    plain["groups"] = [{key: _plain(key, value) for key, value in group.items()} for group in state["param_groups"]]
    return tensors, plain


def load_optimizer_state(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], plain: Mapping[str, Any], where: str
) -> None:
    """Put back what `optimizer_state` gave; raises UsageError where it belongs to another optimizer."""
    fresh = optimizer.state_dict()["param_groups"]
    now, then = type(optimizer).__name__, plain["class"]
    if now != then or [len(g["params"]) for g in fresh] != [len(g["params"]) for g in plain["groups"]]:
        raise UsageError(
            f"the checkpoint's optimizer ({then}) or its parameter groups are not this run's ({now})",
            where=where,
            remedy="resume with the config that the checkpoint was made with",
        )
    state: dict[int, dict[str, Any]] = {int(index): dict(rest) for index, rest in plain["state"].items()}
    for name, tensor in tensors.items():
        index, key = name.split("/", 1)
        state[int(index)][key] = tensor
    groups = [
        {key: tuple(value) if isinstance(new.get(key), tuple) else value for key, value in old.items()}
        for old, new in zip(plain["groups"], fresh, strict=True)
    ]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous()


def _plain(key: str, value: Any) -> Any:
    match value:
        case Tensor() if value.ndim == 0:
            return value.item()
        case list() | tuple():
            return [_plain(key, part) for part in value]
        case _ if isinstance(value, _PLAIN):
            return value
    raise TaskError(f"the optimizer's {key} is a {type(value).__name__}, which a checkpoint cannot hold")


def _mismatch(where: str, what: str) -> UsageError:
    return UsageError(
        f"the checkpoint belongs to another model: {what}",
        where=where,
        remedy="resume with the config that the checkpoint was made with",
    )
