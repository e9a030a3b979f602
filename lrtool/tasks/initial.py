"""Weights that models begin with, from a file: matched by name and shape, and nothing is unpickled."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lrtool.errors import UsageError
from lrtool.tasks.base import Task, seeded_model

if TYPE_CHECKING:
    from torch import Tensor, nn

_LOG = logging.getLogger("lrtool")

_PICKLED = {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".tar"}
#: What wrappers put before every name: data parallel, torch.compile, Lightning modules.
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
#: Bytes that say what tensors a file holds: some 60,000 of them.
_MOST_OF_HEADER = 8 * 2**20
#: Names of one sort that a message shows.
_SHOWN = 4


def initialised(task: Task, path: Path, partial: bool = False) -> Task:
    """The task with models that begin with the weights in a safetensors file, instead of fresh ones.

    Every tensor must be there, and no other. `partial`: what fits by name and shape is taken, and the rest is fresh.
    Raises UsageError, which lists what does not fit.
    """
    given = _read(path)
    model = seeded_model(task, 0)
    own = _named(model)
    given = _without_prefix(given, own)
    fitting = {name: tensor for name, tensor in given.items() if name in own and tensor.shape == own[name].shape}
    problems = _problems(model, own, given)
    if problems and not (partial and fitting):
        raise UsageError(
            f"the weights do not fit the model: {'; '.join(problems)}",
            where=str(path),
            remedy="give weights of this model, or take what fits with --init-partial (init.partial: true)"
            if fitting
            else "no tensor fits by name and shape: give weights of this model",
        )
    if problems:
        _LOG.warning("%d of %d tensors begin as in %s; %s", len(fitting), len(own), path.name, "; ".join(problems))
    return replace(task, new_model=_Initialised(task.new_model, fitting))


@dataclass(eq=False)
class _Initialised:
    """Makes models with given weights; what they lack is fresh."""

    maker: Callable[[], nn.Module]
    weights: Mapping[str, Tensor]

    def __call__(self) -> nn.Module:
        import torch

        model = self.maker()
        own = _named(model)
        with torch.no_grad():
            for name, tensor in self.weights.items():
                own[name].copy_(tensor)
        return model


def _named(model: nn.Module) -> dict[str, Tensor]:
    """The tensors of a model by name, those that no `state_dict` has included, as a checkpoint has them."""
    import torch

    kept = {name: value for name, value in model.state_dict().items() if isinstance(value, torch.Tensor)}
    return {**kept, **{name: value for name, value in model.named_buffers() if name not in kept}}


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, of one of lrtool's checkpoints the model's."""
    import safetensors
    import safetensors.torch

    if path.suffix.lower() in _PICKLED:
        raise UsageError(
            "files that hold pickled objects can run any code, so they are not read",
            where=str(path),
            remedy="convert it, if you trust it:\n"
            f"  weights = torch.load({path.name!r}, weights_only=True, map_location='cpu')  # or ['state_dict'] of it\n"
            "  safetensors.torch.save_file({name: each.clone() for name, each in weights.items()},"
            f" '{path.stem}.safetensors')",
        )
    try:
        _check_header(path)
        found = dict(safetensors.torch.load_file(path))
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    # A type that torch has not is a KeyError there.
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise UsageError(
            f"this is no safetensors file: {next(iter(str(error).splitlines()), error)}", where=str(path),
            remedy="give the folder of a run, or a .safetensors file",
        ) from None  # fmt: skip
    if any(name.startswith("model/") for name in found) and any(name.startswith(("rng/", "trace/")) for name in found):
        return {name.removeprefix("model/"): each for name, each in found.items() if name.startswith("model/")}
    return found


def _check_header(path: Path) -> None:
    """Raise ValueError where what a file says of its tensors is longer than any model needs. Raises OSError."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > _MOST_OF_HEADER:
        raise ValueError(f"its header says that it has {length:,} bytes, and at most {_MOST_OF_HEADER:,} are read")


def _without_prefix(given: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same by the model's names, where all that keeps them from it is what a wrapper put before them."""
    for prefix in _PREFIXES:
        if given and all(name.startswith(prefix) for name in given) and not any(name in own for name in given):
            return _without_prefix({name.removeprefix(prefix): each for name, each in given.items()}, own)
    return given


def _problems(model: nn.Module, own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """What does not fit, in words; tensors that the model shares are there if one of their names is."""
    there = {own[name].data_ptr() for name in given if name in own and own[name].numel()}
    optional = set(own) - set(model.state_dict())
    missing = [name for name in own if name not in given and name not in optional and own[name].data_ptr() not in there]
    other = [name for name in given if name not in own]
    shapes = [
        f"{name} {tuple(given[name].shape)} for {tuple(own[name].shape)}"
        for name in given
        if name in own and given[name].shape != own[name].shape
    ]
    words = (("lacking", missing), ("not in the model", other), ("of another shape", shapes))
    return [f"{len(names)} {what}: {_listed(names)}" for what, names in words if names]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" … {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
