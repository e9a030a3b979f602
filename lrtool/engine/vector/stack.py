"""Many models as one: their tensors stacked along a first axis, trained by one vectorised update."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from lrtool.engine import rng
from lrtool.engine.device import intra_threads
from lrtool.engine.evaluate import batch_loss, slices, take
from lrtool.engine.trials import Recipe
from lrtool.engine.vector.draws import Draws, Witness, key_of, mixed
from lrtool.errors import UsageError
from lrtool.optimizers import Optimizer
from lrtool.tasks.base import Task
from lrtool.tasks.sources import Batch, TensorSource

Tensors = dict[str, Tensor]


class NotStackableError(UsageError):
    """These models or settings cannot be trained as a stack; `why` names the line, operator or setting."""

    def __init__(self, why: str) -> None:
        super().__init__(f"these trials cannot be stacked: {why}", remedy="use the loop engine")
        self.why = why


class State(NamedTuple):
    """What an update changes of a stack; each tensor (size, …). `keys` start each trial's random stream."""

    parameters: Tensors
    buffers: Tensors
    optimizer: dict[str, Tensors]
    steps: Tensor
    keys: Tensor


class _Stateless(nn.Module):
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
    def state(self) -> State:
        """What an update takes."""
        return State(self.parameters, self.buffers, self.optimizer, self.steps, self.keys)

    @state.setter
    def state(self, after: State) -> None:
        self.parameters, self.buffers, self.optimizer, self.steps, self.keys = after

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


def optimizer_forms(recipe: Recipe, skeleton: nn.Module) -> dict[str, Optimizer]:
    """The specification whose stacked form updates each parameter; by the shapes of the model, not of the stack."""
    return {name: recipe.optimizer.form_of(name, p.ndim) for name, p in skeleton.named_parameters()}


class Update:
    """One update of every model of a stack, as a pure function of tensors, so that it can be traced whole.

    `random`: the model draws values in training, so they come from each trial's own stream (see `draws`).
    `unknown`: the first operator that drew and has no such form; `drawn`: the shapes of what the last batch drew.
    """

    def __init__(self, task: Task, recipe: Recipe, skeleton: nn.Module, random: bool) -> None:
        self.random = random
        self.unknown: str | None = None
        self.drawn: list[torch.Size] = []
        self._task, self._recipe, self.skeleton = task, recipe, skeleton
        self.trained = frozenset(name for name, p in skeleton.named_parameters() if p.requires_grad)
        self._forms = optimizer_forms(recipe, skeleton)
        groups = {name: recipe.optimizer.group_of(name, p.ndim) for name, p in skeleton.named_parameters()}
        self._groups = {name: group for name, group in groups.items() if group is not None}
        self._gradients = vmap(grad_and_value(self.loss, has_aux=True), randomness="different")

    def __call__(
        self, source: TensorSource, state: State, rows: Tensor, hyperparameters: Mapping[str, Tensor]
    ) -> tuple[State, Tensor, Tensor]:
        """The state after the update, losses (size,) and gradient norms before clipping (size,).

        rows: indices of `source`, (accumulate, size, batch). hyperparameters: `lr` and the scheduled ones, (size,).
        """
        gradients, losses = None, None
        buffers, count = state.buffers, len(rows)
        for number, index in enumerate(rows.unbind()):
            keys = batch_keys(state.keys, state.steps, count, number) if self.random else None
            found, (loss, buffers) = self._one(state.parameters, buffers, gathered(source, index), keys)
            gradients = found if gradients is None else {name: gradients[name] + found[name] for name in found}
            losses = loss if losses is None else losses + loss
        assert gradients is not None and losses is not None
        if count > 1:
            gradients, losses = {name: grad / count for name, grad in gradients.items()}, losses / count
        gradients, norms = self._clipped(gradients)
        parameters, optimizer = self._updated(state, gradients, hyperparameters)
        return State(parameters, buffers, optimizer, state.steps + 1, state.keys), losses, norms

    def _one(
        self, parameters: Tensors, buffers: Tensors, batch: Batch, keys: Tensor | None
    ) -> tuple[Tensors, tuple[Tensor, Tensors]]:
        if keys is None:
            gradients, aside = self._gradients(parameters, buffers, batch.inputs, batch.target)
        else:
            with Draws(keys) as draws:
                gradients, aside = self._gradients(parameters, buffers, batch.inputs, batch.target)
            self.unknown, self.drawn = self.unknown or draws.unknown, draws.drawn
        return gradients, aside

    def loss(self, parameters: Tensors, buffers: Tensors, inputs: Any, target: Any) -> tuple[Tensor, Tensors]:
        """The loss of one model, and its buffers afterwards."""
        # Buffers are changed in place by the model (running statistics), so it gets copies of its own.
        own = {name: tensor.clone() for name, tensor in buffers.items()}
        model = _Stateless(self.skeleton, {**parameters, **own})
        loss, _ = batch_loss(self._task, model, Batch(inputs, target))
        return loss, {name: model.tensors[name] for name in buffers}

    def _clipped(self, gradients: Tensors) -> tuple[Tensors, Tensor]:
        """Gradients within `clip_norm` over all of a model's parameters, and the norms before, (size,)."""
        limit = self._recipe.clip_norm
        first = next(iter(gradients.values()))
        if limit is None and not self._recipe.record_grad_norm:
            return gradients, first.new_zeros(len(first))
        squares = torch.stack([grad.flatten(1).square().sum(1) for grad in gradients.values()])
        norms = squares.sum(0).sqrt()
        if limit is None:
            return gradients, norms
        scale = (limit / (norms + 1e-6)).clamp(max=1.0)
        return {name: grad * _along(scale, grad) for name, grad in gradients.items()}, norms

    def _updated(
        self, state: State, gradients: Tensors, hyperparameters: Mapping[str, Tensor]
    ) -> tuple[Tensors, dict[str, Tensors]]:
        after: Tensors = {}
        states: dict[str, Tensors] = {}
        for name, param in state.parameters.items():
            h = {key: _along(value, param) for key, value in hyperparameters.items()}
            group = self._groups.get(name)
            if group is not None:
                h["lr"] = h["lr"] * group.lr_scale
                if group.weight_decay is not None:
                    h["weight_decay"] = torch.full_like(h["lr"], group.weight_decay)
            after[name], states[name] = self._forms[name].update(
                param, gradients[name], state.optimizer[name], _along(state.steps, param), h
            )
        return after, states


class Validation:
    """Losses and metrics of every model of a stack over the validation data.

    `random`: the model draws values in training, and may in validation; they come from each trial's own stream.
    """

    def __init__(self, task: Task, skeleton: nn.Module, random: bool) -> None:
        self._task, self._skeleton, self._random = task, skeleton, random

    def __call__(self, stack: Stack) -> list[dict[str, float]]:
        """`val_loss` and every metric as `val_<name>`, per model: means over the samples."""
        source, size = self._task.val, 2 * self._task.batch_size
        assert isinstance(source, TensorSource)
        self._skeleton.eval()
        try:
            with torch.no_grad():
                rows = []
                for number, index in enumerate(slices(len(source), size, source.target.device)):
                    with self._draws(stack, number):
                        values = self._values(stack, source.take(index))
                    rows.append(values * (len(index) / len(source)))
                table = torch.stack(rows).sum(0).cpu().tolist()
        finally:
            self._skeleton.train()
        names = ["val_loss", *(f"val_{name}" for name in self._task.metrics)]
        return [dict(zip(names, row, strict=True)) for row in table]

    def _draws(self, stack: Stack, number: int) -> AbstractContextManager[object]:
        return Draws(validation_keys(stack.keys, stack.steps, number)) if self._random else nullcontext()

    def _values(self, stack: Stack, batch: Batch) -> Tensor:
        """Loss and metrics of one batch, shape (size, 1 + metrics), float64."""

        def one(parameters: Tensors, buffers: Tensors) -> Tensor:
            # A gradient level takes fused layers (GRU) apart, which vmap alone has no rule for.
            def measured(given: Tensors) -> Tensor:
                model = _Stateless(self._skeleton, {**given, **buffers})
                loss, output = batch_loss(self._task, model, batch)
                metrics = [metric.per_sample(output, batch.target) for metric in self._task.metrics.values()]
                return torch.stack([loss, *(values.to(loss.dtype).mean() for values in metrics)])

            values: Tensor = torch.func.vjp(measured, parameters)[0]
            return values

        return vmap(one, randomness="different")(stack.parameters, stack.buffers).double()


def batch_keys(keys: Tensor, steps: Tensor, count: int, number: int) -> Tensor:
    """What batch `number` of the `count` of an update draws from, by the trials' keys and updates done, (size,)."""
    return mixed(keys ^ mixed((steps.to(torch.int64) * count + number).to(torch.int32)))


def validation_keys(keys: Tensor, steps: Tensor, number: int) -> Tensor:
    """What a batch of a validation draws from: another stream than any update's."""
    return mixed(mixed(keys ^ mixed(steps.to(torch.int32))) ^ mixed(torch.full_like(keys, number)))


def gathered(source: TensorSource, rows: Tensor) -> Batch:
    """The samples at indices (size, batch) of data in memory, each tensor (size, batch, …)."""
    flat = rows.reshape(-1)

    def select(part: Tensor) -> Tensor:
        return part.index_select(0, flat).reshape(*rows.shape, *part.shape[1:])

    return Batch(tuple(select(part) for part in source.inputs), select(source.target))


def obstacle(task: Task, recipe: Recipe) -> str | None:
    """What about these settings cannot be stacked, without trying; None if nothing."""
    if not isinstance(task.train, TensorSource) or not isinstance(task.val, TensorSource | None):
        return "the data set is read sample by sample"
    if recipe.precision != "fp32":
        return f"precision {recipe.precision} is not stacked"
    if not recipe.optimizer.stackable:
        return f"the optimizer {recipe.optimizer.kind} has no stacked form"
    if recipe.plateau is not None:
        return "a plateau follows each trial's own evaluations"
    return None


@dataclass(frozen=True)
class Work:
    """What one forward pass of one model does; `parameters`: their bytes, `random`: whether anything is drawn.

    `flops`: those of matrix products, convolutions and attention; `bytes`: what all operators write.
    """

    operators: int
    flops: int
    bytes: int
    parameters: int
    random: bool

    @property
    def held(self) -> int:
        """Bytes that one model in training takes, roughly: parameters, gradients, optimizer state, activations."""
        return 8 * self.parameters + 3 * self.bytes


def work_of(task: Task, skeleton: nn.Module, device: torch.device) -> Work:
    """Look at the forward pass of a first batch; raises TaskError where the user's code fails."""
    copied = copy.deepcopy(skeleton)  # running statistics change
    batch = take(task.train, torch.arange(task.batch_size, device=device))
    # Threads that wait for each other would only make it slower on a busy machine. Of fused attention not every
    # kernel's operations are known.
    with rng.preserved(device), intra_threads(1), math_attention(), torch.no_grad(), Witness() as seen:
        batch_loss(task, copied, batch)
    held = sum(p.numel() * p.element_size() for p in skeleton.parameters())
    return Work(seen.operators, seen.flops, seen.bytes, held, seen.random)


def first_rows(task: Task, recipe: Recipe, size: int) -> Tensor:
    """Rows for an update that is only tried: the first samples for every model, (accumulate, size, batch)."""
    return torch.arange(task.batch_size, device=recipe.device).repeat(recipe.accumulate, size, 1)


def trial_update(update: Update, task: Task, recipe: Recipe, size: int) -> Callable[[], None]:
    """One update of a scratch stack, to try it, or to see how long it takes."""
    stack = Stack(update.skeleton, recipe, size)
    source = task.train
    assert isinstance(source, TensorSource)
    rows = first_rows(task, recipe, size)
    h = {name: torch.zeros(size, device=recipe.device) for name in recipe.per_update}

    def one() -> None:
        with torch.no_grad():
            stack.state = update(source, stack.state, rows, h)[0]

    return one


def math_attention() -> Any:
    """Attention by plain matrix products: the fused kernels go through vmap one sample at a time."""
    return sdpa_kernel(SDPBackend.MATH)


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _along(values: Tensor, like: Tensor) -> Tensor:
    """Per-model values (size,) shaped to multiply a stacked tensor (size, …)."""
    return values.to(like.dtype).reshape(-1, *[1] * (like.ndim - 1))
