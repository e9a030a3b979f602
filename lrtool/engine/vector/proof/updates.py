"""Whether a stack trains the model that the loop trains: the first updates of both, side by side.

After every update the stack gets the loop's tensors, so that rounding does not add up, and what an update changes is
compared, so that a small difference that would add up is seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lrtool.engine.batches import Batches
from lrtool.engine.private import Function
from lrtool.engine.trials import Recipe
from lrtool.engine.vector.compiling import Compiled
from lrtool.engine.vector.draws import key_of, mixed
from lrtool.engine.vector.proof.closeness import TOLERANCE, changes_differ, gradients_differ, losses_agree, telling
from lrtool.engine.vector.proof.followed import Moment, Tensors
from lrtool.engine.vector.stack import Stack, StackState
from lrtool.engine.vector.update import Update
from lrtool.engine.vector.validation import Validation
from lrtool.tasks.base import Task, seeded_model
from lrtool.tasks.sources import TensorSource

#: Updates after which a compiled one is compared: the second finds the optimizer's state filled.
_COMPILED_UPDATES = 2
#: What was found of compiled updates. They are reused in a process, and few.
_PROVED: dict[Function, str] = {}
_MOST_PROVED = 1000


def key_for(seed: int, device: torch.device) -> Tensor:
    """The key of a stack of one trial of this seed, (1,)."""
    return torch.tensor([key_of(seed)], dtype=torch.int32, device=device)


class OtherDrawsError(Exception):
    """A stacked model draws other shapes than it does alone, so that nothing can be drawn alike."""


def compiled_differs(update: Update, made: Compiled, task: Task, recipe: Recipe) -> str:
    """What a compiled update does otherwise than the plain one from the same state, "" if nothing; tried once."""
    if made.function not in _PROVED:
        if len(_PROVED) > _MOST_PROVED:
            _PROVED.clear()
        with torch.no_grad():
            _PROVED[made.function] = _compiled_differs(update, made, task, recipe)
    return _PROVED[made.function]


def _compiled_differs(update: Update, made: Compiled, task: Task, recipe: Recipe) -> str:
    source, size = task.train, made.size
    assert isinstance(source, TensorSource)
    observed = _Observed(task, recipe, update.skeleton, update.random)
    plain, other = (Stack(update.skeleton, recipe, size) for _ in range(2))
    for stack in (plain, other):
        stack.load(size - 1, seeded_model(task, 1).to(recipe.device), 1)
        stack.keys.copy_(mixed(torch.arange(size, dtype=torch.int32, device=recipe.device)))
    step, names = made.bind(other, source), recipe.per_update
    values = {"lr": recipe.optimizer.lr, **recipe.optimizer.hyperparameters()}
    h = torch.tensor([[values[name]] * size for name in names], device=recipe.device, dtype=plain.hyperparameter_type)
    rows = torch.arange(recipe.accumulate * size * task.batch_size, device=recipe.device)
    rows = rows.reshape(recipe.accumulate, size, task.batch_size)
    for number in range(_COMPILED_UPDATES):
        before = plain.state
        index = (rows + number) % len(source)
        plain.state, losses, _ = observed(source, before, index, dict(zip(names, h.unbind(), strict=True)))
        found, _ = step(index, h)
        if not losses_agree(found, losses):
            return "the compiled update gives other losses"
        mask = telling(observed.gradients)
        name = _state_differs(before, other.state, plain.state, mask)
        if name is not None:
            return f"the compiled update changes {name} otherwise"
        for old, new in zip(other.state.tensors(), plain.state.tensors(), strict=True):
            old.copy_(new)
    return ""


def _state_differs(before: StackState, found: StackState, expected: StackState, mask: Tensors) -> str | None:
    """The name of a tensor that became another: parameters where their gradients tell, buffers, optimizer state."""
    masked = [{name: each.parameters[name][m] for name, m in mask.items()} for each in (before, found, expected)]
    name = changes_differ(*masked) or changes_differ(before.buffers, found.buffers, expected.buffers)
    for parameter in before.optimizer:
        of = [each.optimizer[parameter] for each in (before, found, expected)]
        name = name or (parameter if changes_differ(*of) is not None else None)
    return name


class _Observed(Update):
    """An update that keeps the gradients it found, before they are clipped."""

    gradients: Tensors

    def _clipped(self, gradients: dict[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
        self.gradients = gradients
        return super()._clipped(gradients)


class StackProof:
    """Two models of different seeds as a stack; the first does what a followed trial did.

    `skeleton` is of another seed than the trial.
    """

    def __init__(self, task: Task, recipe: Recipe, skeleton: nn.Module, random: bool, seed: int) -> None:
        self._task, self._recipe, self._random, self._skeleton = task, recipe, random, skeleton
        self._seeds = (seed, seed + 1)
        self._update = _Observed(task, recipe, skeleton, random)
        self.stack = Stack(skeleton, recipe, 2)
        for slot in range(2):
            self._load(slot, self._seeds[slot])
        self._batches = [Batches(task, each, recipe.device, 2) for each in self._seeds]
        values = {"lr": recipe.optimizer.lr, **recipe.optimizer.hyperparameters()}
        kind = self.stack.hyperparameter_type
        self._h = {name: torch.full((2,), v, device=recipe.device, dtype=kind) for name, v in values.items()}

    def differs(self, moments: Sequence[Moment], values: Tensor | None) -> str:
        """What the stack does otherwise than the loop did, "" if nothing; `values`: the last validation's.

        Raises OtherDrawsError where the two cannot be compared.
        """
        telling_so_far: dict[str, Tensor] = {}
        with torch.no_grad():
            for number, moment in enumerate(moments):
                said = self._one(number, moment, telling_so_far)
                if said:
                    return said
            return self._validation_differs(values) or self._refilled_differs(moments[0])

    def _one(self, number: int, moment: Moment, so_far: dict[str, Tensor]) -> str:
        self._hold(moment.parameters, moment.buffers)
        before = self._first()
        losses = self._train(number)
        if self._update.unknown is not None:
            return f"the model draws by {self._update.unknown}, which has no stacked form"
        if self._random and self._update.drawn != moment.drawn:
            raise OtherDrawsError
        found, after = {name: g[0] for name, g in self._update.gradients.items()}, self._first()
        said = _update_differs("a stacked model's", number, moment, losses[0], found, after)
        if said:
            return said
        for name, mask in telling(moment.gradients).items():
            so_far[name] = mask & so_far.get(name, mask)
        moved = [{name: each[name][mask] for name, mask in so_far.items()} for each in (before, after)]
        expected = {name: moment.parameters_after[name][mask] for name, mask in so_far.items()}
        other = changes_differ(moved[0], moved[1], expected)
        self._hold(moment.parameters_after, moment.buffers_after)
        return "" if other is None else f"update {number} of a stacked model changes {other} otherwise than the loop's"

    def _train(self, number: int) -> Tensor:
        """One update of both; their losses."""
        count, source = self._recipe.accumulate, self._task.train
        assert isinstance(source, TensorSource)
        rows = torch.stack([each.range(number * count, count) for each in self._batches], 1)
        self.stack.state, losses, _ = self._update(source, self.stack.state, rows, self._h)
        return losses

    def _validation_differs(self, values: Tensor | None) -> str:
        if values is None:
            return ""
        found = Validation(self._task, self._skeleton, self._random)(self.stack)[0]
        assert self._task.val is not None
        values = torch.tensor(list(self._task.evaluation(values.tolist()).values()), dtype=values.dtype)
        # Where two outputs are equal but for rounding, a sample may count otherwise.
        distance = (
            TOLERANCE * values.abs()
            + 1e-6
            + torch.tensor([0.0, *[1.01] * (len(values) - 1)]).to(values) / len(self._task.val)
        )
        for (name, one), other, most in zip(found.items(), values.tolist(), distance.tolist(), strict=True):
            if abs(one - other) > most:
                return f"a stacked model's {name} is {one:.6g}, alone it is {other:.6g}"
        return ""

    def _refilled_differs(self, first: Moment) -> str:
        """A slot that was used before trains a new trial as a fresh one does."""
        self._load(1, self._seeds[0])
        self._batches[1] = self._batches[0]
        loss = self._train(0)[1]
        if losses_agree(loss, first.loss):
            return ""
        return (
            f"in a slot that was used before, a model's first loss is {loss.item():.6g} and not {first.loss.item():.6g}"
        )

    def _load(self, slot: int, seed: int) -> None:
        self.stack.load(slot, seeded_model(self._task, seed).to(self._recipe.device), seed)

    def _hold(self, *tensors: Tensors) -> None:
        """Give the first model these."""
        for each in tensors:
            for name, tensor in each.items():
                held = self.stack.parameters if name in self.stack.parameters else self.stack.buffers
                # A new tensor: what an update gave may be a view that cannot be written to.
                held[name] = torch.cat([tensor.unsqueeze(0).to(held[name].dtype), held[name][1:]])

    def _first(self) -> dict[str, Tensor]:
        held = {**self.stack.parameters, **self.stack.buffers}
        return {name: tensor[0].clone() for name, tensor in held.items()}


def _update_differs(
    whose: str, number: int, moment: Moment, loss: Tensor, gradients: Tensors, buffers_after: Tensors
) -> str:
    if not losses_agree(loss, moment.loss):
        return f"{whose} loss at update {number} is {loss.item():.6g}, alone it is {moment.loss.item():.6g}"
    name = gradients_differ(gradients, moment.gradients)
    if name is not None:
        return f"{whose} gradient of {name} at update {number} is not the one it has alone"
    name = changes_differ(moment.buffers, buffers_after, moment.buffers_after)
    return "" if name is None else f"{whose} buffer {name} after update {number} is not the one it has alone"
