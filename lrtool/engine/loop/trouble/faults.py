"""Where a training first stopped being finite: its last updates again, with a look at every layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lrtool.engine import rng
from lrtool.engine.loop import state
from lrtool.engine.loop.precision import Precision
from lrtool.engine.parallel.sharding import local
from lrtool.errors import TaskError

#: Bytes of a trial's state that are copied before each chunk of updates: no more than a chunk has time for.
_MOST_BYTES = 24 * 2**20


def finite(model: nn.Module) -> bool:
    """Whether every trained weight that is here is; one wait for the device."""
    weights = [local(p) for p in model.parameters() if p.requires_grad and p.is_floating_point()]
    return not weights or bool(torch.stack([p.isfinite().all() for p in weights]).all())


def first_weight(model: nn.Module) -> str:
    """The first trained weight that is not finite; empty where there is none."""
    return next((name for name, p in model.named_parameters() if p.requires_grad and not bool(p.isfinite().all())), "")


@dataclass(frozen=True)
class Instant:
    """A trial between two updates, kept in memory."""

    step: int
    model: Mapping[str, Tensor]
    optimizer: tuple[Mapping[str, Tensor], Mapping[str, Any]]
    scaler: Mapping[str, Any] | None
    random: Mapping[str, Tensor]

    @classmethod
    def of(
        cls, step: int, size: int, model: nn.Module, optimizer: torch.optim.Optimizer, precision: Precision
    ) -> Instant | None:
        """The moment after `step` updates; None where it is too large to be kept, or cannot be."""
        if size > _MOST_BYTES:
            return None
        try:
            tensors, plain = state.optimizer_state(optimizer)
            return cls(
                step, state.model_state(model), (tensors, plain), precision.state(), rng.capture(precision.device)
            )
        except (TaskError, AttributeError):  # an optimizer or a scaler that does not tell its state
            return None

    def back(self, model: nn.Module, optimizer: torch.optim.Optimizer, precision: Precision) -> None:
        """Put it back."""
        state.load_model_state(model, self.model, "memory")
        state.load_optimizer_state(optimizer, *self.optimizer, "memory")
        precision.restore(self.scaler)
        rng.restore(self.random, precision.device)


def first_fault(model: nn.Module, update: Callable[[], object], steps: int) -> str:
    """What was the first not to be finite while `update` is called so many times, in words; empty where nothing was.

    A layer's output counts where what it was given was finite; then weights' gradients, then the weights.
    """
    with _watched(model) as found:
        for _ in range(steps):
            update()
            if found:
                return found[0]
            if weight := first_weight(model):
                return f"the weight {weight}"
    return ""


@contextmanager
def _watched(model: nn.Module) -> Iterator[list[str]]:
    """Inside, the list gets what is not finite, in the order in which it came about."""
    found: list[str] = []
    handles = []
    for name, module in model.named_modules():
        if any(True for _ in module.children()) and name:
            continue
        handles.append(module.register_forward_hook(_layer_hook(name, module, found)))
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            handles.append(parameter.register_hook(_gradient_hook(name, found)))  # type: ignore[no-untyped-call]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _layer_hook(name: str, module: nn.Module, found: list[str]) -> Callable[..., None]:
    words = f"the output of {name} ({type(module).__name__})" if name else "the model's output"

    def look(_: nn.Module, given: Any, output: Any) -> None:
        if not found and not _finite(output):
            found.append(words if _finite(given) else f"the input of {name or 'the model'}")

    return look


def _gradient_hook(name: str, found: list[str]) -> Callable[[Tensor], None]:
    def look(gradient: Tensor) -> None:
        if not found and not _finite(gradient):
            found.append(f"the gradient of {name}")

    return look


def _finite(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.is_floating_point() or bool(value.detach().isfinite().all())
    if isinstance(value, Mapping):
        return all(_finite(each) for each in value.values())
    return all(_finite(each) for each in value) if isinstance(value, tuple | list) else True
