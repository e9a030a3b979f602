"""The state of many models trained as one: each tensor stacked along a first axis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lrtool.engine.trials import Recipe
from lrtool.engine.vector.draws import key_of
from lrtool.optimizers import Optimizer
from lrtool.optimizers.parts.layers import Parameters

Tensors = dict[str, Tensor]


class StackState(NamedTuple):
    """What an update changes of a stack; each tensor (size, …). `keys` start each trial's random stream."""

    parameters: Tensors
    buffers: Tensors
    optimizer: dict[str, Tensors]
    steps: Tensor
    keys: Tensor

    def tensors(self) -> list[Tensor]:
        """All of it as a flat list."""
        states = [tensor for state in self.optimizer.values() for tensor in state.values()]
        return [*self.parameters.values(), *self.buffers.values(), *states, self.steps, self.keys]

    def of(self, tensors: Iterable[Tensor]) -> Self:
        """Other tensors under the names of this one, in the order of `tensors()`."""
        each = iter(tensors)
        parameters, buffers = ({name: next(each) for name in held} for held in (self.parameters, self.buffers))
        states = {name: {key: next(each) for key in state} for name, state in self.optimizer.items()}
        return type(self)(parameters, buffers, states, next(each), next(each))


class Stateless(nn.Module):
    """A module whose tensors are given at the call; it stands where a model would."""

    def __init__(self, skeleton: nn.Module, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        # In a tuple, so that it does not become a submodule.
        self._given = (skeleton, dict(tensors))

    @property
    def tensors(self) -> Tensors:
        """The tensors as the calls so far left them: a buffer that was assigned anew is the new one."""
        return self._given[1]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The module's own forward pass, with these tensors."""
        return functional_call(*self._given, args, kwargs)


class Stack:
    """The state of `size` models: parameters, buffers and optimizer state, each tensor (size, …).

    `skeleton` is one model of the task; its own tensors are never used. Frozen parameters count as buffers.
    """

    def __init__(self, skeleton: nn.Module, recipe: Recipe, size: int) -> None:
        self.size, self._forms = size, optimizer_forms(recipe, skeleton)
        self.parameters: Tensors = {}
        self.buffers: Tensors = {}
        for name, tensor in _state(skeleton).items():
            held = self.parameters if tensor.requires_grad else self.buffers
            held[name] = tensor.detach().unsqueeze(0).repeat(size, *[1] * tensor.ndim).to(recipe.device)
        self.optimizer: dict[str, Tensors] = {
            name: self._forms[name].init_state(param) for name, param in self.parameters.items()
        }
        self.steps = torch.zeros(size, device=recipe.device)
        self.keys = torch.zeros(size, dtype=torch.int32, device=recipe.device)

    @property
    def hyperparameter_type(self) -> torch.dtype:
        """Double precision where a parameter has it."""
        precise = any(param.dtype == torch.float64 for param in self.parameters.values())
        return torch.float64 if precise else torch.float32

    @property
    def state(self) -> StackState:
        """What an update takes."""
        return StackState(self.parameters, self.buffers, self.optimizer, self.steps, self.keys)

    @state.setter
    def state(self, after: StackState) -> None:
        self.parameters, self.buffers, self.optimizer, self.steps, self.keys = after

    def finite(self, slot: int) -> bool:
        """Whether every trained weight of a slot is; one wait for the device."""
        return bool(torch.stack([param[slot].isfinite().all() for param in self.parameters.values()]).all())

    def load(self, slot: int, model: nn.Module, seed: int) -> None:
        """Put a fresh model into a slot, its optimizer state as before the first update."""
        self.keys[slot] = key_of(seed)
        for name, tensor in _state(model).items():
            held = self.parameters if name in self.parameters else self.buffers
            held[name][slot].copy_(tensor.detach())
        for name, state in self.optimizer.items():
            fresh = self._forms[name].init_state(self.parameters[name][:1])
            for key, tensor in state.items():
                tensor[slot].copy_(fresh[key][0])
        self.steps[slot] = 0

    def keep(self, slots: list[int]) -> None:
        """Drop all slots but these."""
        index = torch.tensor(slots, device=self.steps.device)
        self.size, self.steps, self.keys = len(slots), self.steps[index], self.keys[index]
        for held in (self.parameters, self.buffers, *self.optimizer.values()):
            for name, tensor in held.items():
                held[name] = tensor[index]

    def copied(self) -> StackState:
        """A copy of all of it, where it is."""
        return self.state.of(tensor.clone() for tensor in self.state.tensors())

    def part(self, first: int, last: int) -> Self:
        """The slots first … last−1 as a stack, which shares their memory."""
        some = copy(self)
        some.size, some.state = last - first, self.state.of(tensor[first:last] for tensor in self.state.tensors())
        return some

    def taken(self, slot: int) -> StackState:
        """All of a slot, kept on the CPU."""
        return self.state.of(tensor[slot].to("cpu", copy=True) for tensor in self.state.tensors())

    def put(self, slot: int, taken: StackState) -> None:
        """Put into a slot what was taken from one."""
        for tensor, kept in zip(self.state.tensors(), taken.tensors(), strict=True):
            tensor[slot].copy_(kept)


def optimizer_forms(recipe: Recipe, skeleton: nn.Module) -> dict[str, Optimizer]:
    """The specification whose stacked form updates each parameter; by the shapes of the model, not of the stack."""
    placed = recipe.optimizer.placed(Parameters.of(skeleton))
    return {name: recipe.optimizer.form(each.rule) for name, each in placed.items()}


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
