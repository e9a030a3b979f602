"""Whether a task's models can be trained as a stack: tried and proved, not looked up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from lrtool.engine import rng
from lrtool.engine.cost.work import Witness, work_of
from lrtool.engine.device import math_attention
from lrtool.engine.trials import Recipe
from lrtool.engine.vector.obstacles import obstacle
from lrtool.engine.vector.proof.closeness import losses_agree
from lrtool.engine.vector.proof.followed import Followed, Moment
from lrtool.engine.vector.proof.memories import Memories
from lrtool.engine.vector.proof.updates import OtherDrawsError, StackProof, key_for
from lrtool.engine.vector.skeleton import shortened, skeleton_of, without_dropout
from lrtool.errors import LrtoolError
from lrtool.tasks.base import Task
from lrtool.tasks.failures import task_error

#: Updates that are compared.
UPDATES = 3
#: What torch says, and what it means for a model.
_PLAIN = {
    "data-dependent control flow": "the model looks at values, by .item(), float() or an `if` on a tensor",
    "dynamic shape": "the shape of a result depends on values, as with boolean masks, nonzero or unique",
    "Cannot access data pointer": "the model leaves torch, as with .numpy()",
}
#: Sentences of torch's messages that are for its own developers.
_ADVICE = re.compile(r"please|we don't support|github|bug report|performance drop", re.IGNORECASE)


class _InTheWay(Exception):  # noqa: N818 - it is an answer
    """What stands in the way, in words."""


def why_not_stackable(task: Task, recipe: Recipe, seed: int = 0) -> str | None:
    """Why these models cannot be trained as a stack, naming the line, attribute or operator; None if they can.

    A model is trained alone by the loop engine for a few updates and validated. Nothing but its parameters and
    buffers may change on the way, and nothing may be drawn but by torch's generator. A functional call from the same
    state, and two models as a stack, must then do what it did. `task` is on the recipe's device. Raises TaskError
    where the model does not even work alone.
    """
    reason = obstacle(task, recipe)
    if reason is not None:
        return reason
    with rng.preserved(recipe.device), math_attention():
        try:
            _Proof(shortened(task, recipe.device), recipe, seed).run()
        except _InTheWay as reason:
            return str(reason)
    return None


class _Proof:
    def __init__(self, task: Task, recipe: Recipe, seed: int) -> None:
        self.task, self.recipe, self.seed = task, recipe, seed
        self.witness = Witness()
        self.moments: list[Moment] = []
        self.values: Tensor | None = None

    def run(self) -> None:
        """Raise _InTheWay where something is."""
        self.alone = Followed(self.task, self.seed, self.recipe, UPDATES)
        self.memories = Memories(self.task, self.alone.model)
        self._first_passes()
        for _ in range(1, UPDATES):
            self._update()
            _refuse(self.memories.changed("in a forward pass"))
        self._validate()
        _refuse(self.memories.changed("in validation"))
        with _standing_in_the_way("training two models as one"):
            self._stack()

    def _first_passes(self) -> None:
        """What the first pass of each kind sets, and no later one changes, may be if all models agree in it."""
        with self.memories.calls:
            self._update()
        _refuse(self.memories.drawn("in a forward pass") or self.memories.outside("in a forward pass"))
        with self.memories.calls:
            self._validate()
        _refuse(self.memories.drawn("in validation") or self.memories.outside("in validation"))
        _refuse(self.memories.counted("in the first passes"))
        self.memories.keep()

    def _update(self) -> None:
        held = dict(self.alone.model.named_parameters())
        with self.witness:
            moment = self.alone.update()
        self._refuse_own_generators()
        self.moments.append(moment)
        _refuse(_reformed(moment))
        for name, parameter in self.alone.model.named_parameters():
            if held[name] is not parameter:
                raise _InTheWay(f"the parameter {name} is replaced in a forward pass")
            if name not in moment.gradients and not torch.equal(moment.parameters[name], parameter):
                raise _InTheWay(f"the parameter {name} changes without a gradient")

    def _validate(self) -> None:
        if self.task.val is None:
            return
        before = self.alone.tensors()
        with self.witness:
            self.values = self.alone.validated()
        self._refuse_own_generators()
        for old, new in zip(before, self.alone.tensors(), strict=True):
            for name in old:
                if name not in new or not torch.equal(old[name], new[name]):
                    raise _InTheWay(f"the tensor {name} changes in validation")

    def _refuse_own_generators(self) -> None:
        if self.witness.own_generator:
            raise _InTheWay("the model draws from a torch.Generator of its own")

    def _stack(self) -> None:
        """Compare with a functional call where something is drawn, and with a stack."""
        task, recipe, seed = self.task, self.recipe, self.seed
        skeleton = skeleton_of(task, recipe.device, seed + 1)
        memories = self._compare_models(skeleton)
        random = self.witness.random
        if random != work_of(task, skeleton, recipe.device).random:
            raise _InTheWay("the model draws random values in its backward pass or in validation only")
        if not random:
            self._must_agree(StackProof(task, recipe, skeleton, random, seed).differs(self.moments, self.values))
        else:
            self._compare_under_the_same_draws(skeleton)
        _refuse(memories.changed("in a stack"))

    def _compare_under_the_same_draws(self, skeleton: nn.Module) -> None:
        """The same trial once more, drawing what it would in a stack; without dropout where that cannot be."""
        task = self.task
        try:
            self._compare_drawing(task, skeleton)
        except OtherDrawsError:
            task = replace(task, new_model=lambda: without_dropout(self.task.new_model()))
            try:
                self._compare_drawing(task, skeleton_of(task, self.recipe.device, self.seed + 1))
            except OtherDrawsError:
                raise _InTheWay("the model draws other values in a stack than alone") from None

    def _compare_drawing(self, task: Task, skeleton: nn.Module) -> None:
        alone = Followed(task, self.seed, self.recipe, UPDATES, key_for(self.seed, self.recipe.device))
        moments = [alone.update() for _ in range(UPDATES)]
        values = alone.validated() if task.val is not None else None
        self._must_agree(StackProof(task, self.recipe, skeleton, True, self.seed).differs(moments, values))

    def _compare_models(self, skeleton: nn.Module) -> Memories:
        """What a model remembers must be the same for every seed, since a stack has one skeleton."""
        memories = Memories(self.task, skeleton, self.memories.calls)
        _refuse(self.memories.differing(memories))
        return memories

    def _must_agree(self, difference: str) -> None:
        if not difference:
            return
        again = Followed(self.task, self.seed, self.recipe, 1).update()
        first = self.moments[0]
        if not losses_agree(again.loss, first.loss):
            raise _InTheWay(
                f"a model's first loss is {first.loss.item():.6g} or {again.loss.item():.6g}, from the same state:"
                " it draws values outside torch"
            )
        raise _InTheWay(difference)


def _reformed(moment: Moment) -> str | None:
    """The tensor that an update made, removed, or gave another shape or type."""
    for what, old, new in (
        ("parameter", moment.parameters, moment.parameters_after),
        ("buffer", moment.buffers, moment.buffers_after),
    ):
        for name in [*old, *new]:
            if (name in old) != (name in new):
                return f"the {what} {name} is {'removed' if name in old else 'made'} in a forward pass"
            if (old[name].shape, old[name].dtype) != (new[name].shape, new[name].dtype):
                return f"the {what} {name} changes its shape or type in a forward pass"
    return None


def _refuse(found: str | None) -> None:
    if found is not None:
        raise _InTheWay(found)


@contextmanager
def _standing_in_the_way(doing: str) -> Iterator[None]:
    """What the task's code raises inside stands in the way."""
    try:
        yield
    except _InTheWay:
        raise
    except LrtoolError as error:
        raise _InTheWay(_to_the_point(error)) from error
    except Exception as error:
        raise _InTheWay(_to_the_point(task_error(error, doing))) from error


def _to_the_point(error: LrtoolError) -> str:
    """The line of the user's code, and in a few words what it does that a stack cannot."""
    line = str(error).splitlines()[0]
    place = re.match(r".+?:\d+: ", line)
    for sign, words in _PLAIN.items():
        if place and sign in line:
            return f"{place[0]}{words}"
    sentences = re.split(r"(?<=[.!?])\s+", line)
    return " ".join(each for each in sentences if not _ADVICE.search(each)).rstrip(". ") or line
