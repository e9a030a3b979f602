"""The state of models and optimizers as tensors and plain data, and back, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrtool.engine.parallel.sharding import spread_like, whole
from lrtool.errors import TaskError, UsageError

_PLAIN = (bool, int, float, str, type(None))
#: Marks in plain data: a tensor or an array put aside, bytes, a tuple, a mapping, a state that is no mapping by itself.
_TENSOR, _ARRAY, _BYTES, _TUPLE = "__tensor__", "__array__", "__bytes__", "__tuple__"
_MAPPING, _ALONE = "__mapping__", "__alone__"


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
            tensor.copy_(spread_like(state[name], tensor))


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Copies, on the CPU, of the tensors of a model's `state_dict`, to keep or to hand out."""
    return {name: _copy(value) for name, value in model.state_dict().items() if isinstance(value, Tensor)}


def optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's state as tensors by `<parameter>/<key>`, and the rest as plain data.

    Lists, tuples and mappings of tensors and plain values may be nested. Raises TaskError for anything else.
    """
    state = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {"class": type(optimizer).__name__, "state": {}, "groups": [], "more": {}}
    for index, entries in state["state"].items():
        nested = entries if isinstance(entries, Mapping) else {_ALONE: entries}
        plain["state"][str(index)] = rest = {}
        for key, value in nested.items():
            if isinstance(value, Tensor):
                tensors[f"{index}/{key}"] = _copy(value)
            else:
                rest[key] = packed(value, f"{index}/{key}", tensors)
    plain["groups"] = [{key: _plain(key, value) for key, value in group.items()} for group in state["param_groups"]]
    more = {key: value for key, value in state.items() if key not in ("state", "param_groups")}
    plain["more"] = {key: packed(value, f"more/{key}", tensors) for key, value in more.items()}
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
    state: dict[Any, dict[str, Any]] = {index: unpacked(rest, tensors) for index, rest in plain["state"].items()}
    for name, tensor in tensors.items():
        index, _, key = name.partition("/")
        if index in state and "/" not in key:
            state[index][key] = tensor
    groups = [
        {key: tuple(value) if isinstance(new.get(key), tuple) else value for key, value in old.items()}
        for old, new in zip(plain["groups"], fresh, strict=True)
    ]
    _spread(optimizer, state)
    entries = {_number(index): held.get(_ALONE, held) for index, held in state.items()}
    more = {key: unpacked(value, tensors) for key, value in plain.get("more", {}).items()}
    optimizer.load_state_dict({"state": entries, "param_groups": groups, **more})


def packed(value: Any, name: str, tensors: dict[str, Tensor], whose: str = "the optimizer") -> Any:
    """A nested value as plain data, its tensors put aside under names that start with `name`.

    Raises TaskError, which says `whose` it is, for what is neither a tensor, an array, bytes, a list, a tuple, a
    mapping by texts or numbers, nor a plain value.
    """
    match value:
        case Tensor():
            tensors[name] = _copy(value)
            return {_TENSOR: name}
        case np.ndarray() | np.generic() if value.dtype.kind in "biuf":
            tensors[name] = torch.from_numpy(np.array(value, copy=True))
            return {_ARRAY: name}
        case bytes():
            return {_BYTES: value.hex()}
        case list():
            return [packed(part, f"{name}/{number}", tensors, whose) for number, part in enumerate(value)]
        case tuple():
            return {_TUPLE: packed(list(value), name, tensors, whose)}
        case Mapping() if all(isinstance(key, str | int) for key in value):
            # JSON has no keys that are numbers.
            keys = [[key, packed(part, f"{name}/{key}", tensors, whose)] for key, part in value.items()]
            return {_MAPPING: keys}
        case _ if isinstance(value, _PLAIN):
            return value
    raise _unkept(name, value, whose)


def unpacked(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """What `packed` packed."""
    match value:
        case list():
            return [unpacked(part, tensors) for part in value]
        case {"__tensor__": name}:
            return tensors[name]
        case {"__array__": name}:
            return tensors[name].numpy().copy()[()]
        case {"__bytes__": text}:
            return bytes.fromhex(text)
        case {"__tuple__": parts}:
            return tuple(unpacked(parts, tensors))
        case {"__mapping__": items}:
            return {key: unpacked(part, tensors) for key, part in items}
        case dict():
            return {key: unpacked(part, tensors) for key, part in value.items()}
    return value


def _number(index: str) -> int | str:
    return int(index) if index.isdecimal() else index


def _spread(optimizer: torch.optim.Optimizer, state: dict[Any, dict[str, Any]]) -> None:
    """Spread what belongs to a parameter over the processes as that is."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, held in state.items():
        if isinstance(number := _number(index), int) and number < len(parameters):
            for key, value in held.items():
                if isinstance(value, Tensor):
                    held[key] = spread_like(value, parameters[number])


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _copy(tensor: Tensor) -> Tensor:
    return whole(tensor.detach()).to("cpu", copy=True).contiguous()


def _plain(key: str, value: Any) -> Any:
    match value:
        case Tensor() if value.ndim == 0:
            return value.item()
        case list() | tuple():
            return [_plain(key, part) for part in value]
        case _ if isinstance(value, _PLAIN):
            return value
    raise _unkept(key, value)


def _unkept(name: str, value: Any, whose: str = "the optimizer") -> TaskError:
    return TaskError(
        f"{whose}'s {name} is a {type(value).__name__}, which a checkpoint cannot hold",
        where="optimizer" if whose == "the optimizer" else "data",
        remedy=f"keep tensors, arrays, numbers, texts, and lists and mappings of these in {whose}'s state",
    )


def _mismatch(where: str, what: str) -> UsageError:
    return UsageError(
        f"the checkpoint belongs to another model: {what}",
        where=where,
        remedy="resume with the config that the checkpoint was made with",
    )
