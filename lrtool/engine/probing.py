"""Whether a task's models can be trained as a stack: tried and proved, not looked up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lrtool.engine import rng
from lrtool.engine.closeness import losses_agree
from lrtool.engine.draws import Witness
from lrtool.engine.followed import Followed, Moment
from lrtool.engine.memories import Memories
from lrtool.engine.proof import StackProof, functional_differs, key_for
from lrtool.engine.skeleton import shortened, skeleton_of
from lrtool.engine.stacking import math_attention, obstacle, work_of
from lrtool.engine.trials import Recipe
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


def probe(task: Task, recipe: Recipe, seed: int = 0) -> str | None:
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
            _Probe(shortened(task, recipe.device), recipe, seed).run()
        except _InTheWay as reason:
            return str(reason)
    return None


class _Probe:
    def __init__(self, task: Task, recipe: Recipe, seed: int) -> None:
        self.task, self.recipe, self.seed = task, recipe, seed
        self.witness = Witness()
        self.moments: list[Moment] = []
        self.values: Tensor | None = None

    def run(self) -> None:
        """Raise _InTheWay where something is."""
        self.alone = Followed(self.task, self.seed, self.recipe, UPDATES)
        self.memories = Memories(self.task, self.alone.model)
        for number in range(UPDATES):
            self.moments.append(self._update())
            if self.task.val is not None and number in (0, UPDATES - 1):
                self._validate()
        random = self.witness.random
        with _said("training two models as one"):
            skeleton = skeleton_of(self.task, self.recipe.device, self.seed + 1)
            of_skeleton = self._compare_models(skeleton)
            if random != work_of(self.task, skeleton, self.recipe.device).random:
                raise _InTheWay("the model draws random values in its backward pass or in validation only")
            moments, values = self.moments, self.values
            if random:
                self._must_agree(functional_differs(self.task, self.recipe, skeleton, moments, self.seed))
                moments, values = self._with_the_stacks_draws()
            proof = StackProof(self.task, self.recipe, skeleton, random, self.seed)
            self._must_agree(proof.differs(moments, values))
            _refuse(of_skeleton.changed("in a stack"))

    def _update(self) -> Moment:
        names = {name: id(p) for name, p in self.alone.model.named_parameters()}
        with self.memories.watched("in a forward pass"), self.witness:
            moment = self.alone.update()
        self._refuse_what_was_seen()
        for name, parameter in self.alone.model.named_parameters():
            if names.get(name) != id(parameter):
                raise _InTheWay(f"the parameter {name} is replaced in a forward pass")
            after = moment.parameters_after[name]
            if name not in moment.gradients and not torch.equal(moment.parameters[name], after):
                raise _InTheWay(f"the parameter {name} changes without a gradient")
        for name, buffer in moment.buffers.items():
            after = moment.buffers_after.get(name, buffer[:0])
            if (after.shape, after.dtype) != (buffer.shape, buffer.dtype):
                raise _InTheWay(f"the buffer {name} changes its shape or type in a forward pass")
        return moment

    def _validate(self) -> None:
        before = self.alone.tensors()
        with self.memories.watched("in validation"), self.witness:
            self.values = self.alone.validated()
        self._refuse_what_was_seen()
        for old, new in zip(before, self.alone.tensors(), strict=True):
            for name in old:
                if name not in new or not torch.equal(old[name], new[name]):
                    raise _InTheWay(f"the tensor {name} changes in validation")

    def _refuse_what_was_seen(self) -> None:
        _refuse(self.memories.found)
        if self.witness.unknown is not None:
            raise _InTheWay(f"the model {self.witness.unknown}")

    def _compare_models(self, skeleton: nn.Module) -> Memories:
        """What a model remembers must be the same for every seed, since a stack has one skeleton."""
        memories = Memories(self.task, skeleton, self.memories.calls)
        _refuse(self.memories.differing(memories))
        return memories

    def _with_the_stacks_draws(self) -> tuple[list[Moment], Tensor | None]:
        """The same trial, once more, drawing what it would in a stack."""
        alone = Followed(self.task, self.seed, self.recipe, UPDATES, key_for(self.seed, self.recipe.device))
        moments = [alone.update() for _ in range(UPDATES)]
        return moments, alone.validated() if self.task.val is not None else None

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


def _refuse(found: str | None) -> None:
    if found is not None:
        raise _InTheWay(found)


@contextmanager
def _said(doing: str) -> Iterator[None]:
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
