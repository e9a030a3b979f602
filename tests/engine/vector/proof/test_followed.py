"""A trial that the loop trains, an update at a time, each of them noted."""

from __future__ import annotations

import pytest
import torch

from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.trials import Recipe, Trial
from lrtool.engine.vector.proof.followed import Followed
from lrtool.engine.vector.proof.updates import key_for
from lrtool.optimizers import KINDS
from tests.engine.contract import flat, small_task

RECIPE = Recipe(KINDS["sgd"](lr=0.1, momentum=0.9))


def test_it_trains_what_the_loop_engine_trains() -> None:
    followed = Followed(small_task(), 3, RECIPE, 4)
    moments = [followed.update() for _ in range(4)]
    (trace,) = LoopEngine().run(small_task(), [Trial(3, 4, {"lr": flat(0.1, 4)})], RECIPE)
    assert [moment.loss.item() for moment in moments] == pytest.approx(trace.train_loss.tolist(), rel=1e-6)


def test_a_moment_is_what_was_before_and_what_came_of_it() -> None:
    followed = Followed(small_task(), 3, RECIPE, 2)
    first, second = followed.update(), followed.update()
    for name, before in first.parameters.items():
        # Without momentum yet, the first update is the LR times the gradient.
        torch.testing.assert_close(first.parameters_after[name], before - 0.1 * first.gradients[name])
        assert torch.equal(second.parameters[name], first.parameters_after[name])
        assert not torch.equal(second.parameters_after[name], second.parameters[name])


def test_with_a_key_it_draws_what_it_would_in_a_stack_whatever_torchs_generator_has() -> None:
    task, key = small_task(dropout=0.5), key_for(3, torch.device("cpu"))
    losses = []
    for seed in (0, 1):
        followed = Followed(task, 3, RECIPE, 2, key)
        torch.manual_seed(seed)
        losses.append([followed.update().loss.item(), followed.update().loss.item()])
    assert losses[0] == losses[1]
    assert followed.draws is not None and followed.draws.drawn == [torch.Size([8, 16])]
