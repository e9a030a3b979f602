"""Two models as a stack against one alone; that wrong stacks are found is in the tests of impure models too."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

from lrtool.engine.device import math_attention
from lrtool.engine.trials import Recipe
from lrtool.engine.vector.compiling import Compiled
from lrtool.engine.vector.proof.followed import Followed
from lrtool.engine.vector.proof.updates import StackProof, compiled_differs, key_for
from lrtool.engine.vector.skeleton import skeleton_of
from lrtool.engine.vector.stack import Stack
from lrtool.engine.vector.update import Update
from lrtool.optimizers import KINDS
from lrtool.tasks.sources import TensorSource
from tests.engine.contract import small_task

CPU = torch.device("cpu")
RECIPE = Recipe(KINDS["sgd"](lr=0.1, momentum=0.9))


def followed_by(recipe: Recipe = RECIPE) -> Followed:
    return Followed(small_task(), 3, recipe, 3)


def test_a_stack_does_what_the_loop_did() -> None:
    alone = followed_by()
    moments = [alone.update() for _ in range(3)]
    proof = StackProof(small_task(), RECIPE, skeleton_of(small_task(), CPU, 5), False, 3)
    assert proof.differs(moments, None) == ""


@pytest.mark.parametrize(
    ("what", "says"),
    [("loss", "loss at update 1"), ("gradients", "gradient of 0.weight at update 1"), ("after", "update 1 .* changes")],
)
def test_what_it_does_otherwise_is_named(what: str, says: str) -> None:
    alone = followed_by()
    moments = [alone.update() for _ in range(3)]
    one = moments[1]
    moments[1] = {
        "loss": lambda: replace(one, loss=one.loss * 1.01),
        "gradients": lambda: replace(one, gradients={**one.gradients, "0.weight": one.gradients["0.weight"] * 1.1}),
        "after": lambda: replace(
            one, parameters_after={**one.parameters_after, "0.weight": one.parameters_after["0.weight"] * 1.1}
        ),
    }[what]()
    proof = StackProof(small_task(), RECIPE, skeleton_of(small_task(), CPU, 5), False, 3)
    assert re.search(says, proof.differs(moments, None))


def compiled_by(update: Update, factor: float) -> Compiled:
    """Stands for compiled code: the plain update, whose losses are so many times as large."""
    task = small_task()
    template = Stack(update.skeleton, RECIPE, 2).state
    count = len(template.tensors())

    def function(given: list[torch.Tensor]) -> list[torch.Tensor]:
        state, (inputs, target, rows, h) = given[:count], given[count:]
        names = dict(zip(RECIPE.per_update, h.unbind(), strict=True))
        after, losses, norms = update(TensorSource((inputs,), target), template.of(state), rows, names)
        for old, new in zip(state, after.tensors(), strict=True):
            old.copy_(new)
        return [losses * factor, norms]

    assert isinstance(task.train, TensorSource)
    return Compiled(function, 2, 0.0)


def test_compiled_code_is_compared_with_the_plain_update() -> None:
    task = small_task()
    with math_attention():
        update = Update(task, RECIPE, skeleton_of(task, CPU, 5), random=False)
    assert compiled_differs(update, compiled_by(update, 1.0), task, RECIPE) == ""
    assert compiled_differs(update, compiled_by(update, 1.01), task, RECIPE) == "the compiled update gives other losses"


def test_the_key_of_a_stack_of_one_is_its_trials() -> None:
    assert torch.equal(key_for(3, CPU), key_for(3, CPU)) and not torch.equal(key_for(3, CPU), key_for(4, CPU))
