"""On a CUDA device: the same results as on the CPU, no waiting in the hot loop, and what happens without memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.loop.training import Training
from lrtool.engine.trials import Recipe
from lrtool.engine.vector.engine import VectorEngine
from lrtool.engine.vector.update import Update
from lrtool.optimizers import KINDS
from lrtool.status import Status
from tests.engine.contract import PLAIN, small_task, trial

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
]

GPU = torch.device("cuda")
ON_CPU = Recipe(PLAIN, eval_every=20)
ON_GPU = replace(ON_CPU, device=GPU)
ENGINES = {
    "loop": LoopEngine(),
    "vector": VectorEngine(compile=False),
    "compiled": VectorEngine(slots=4, compile=True),
}


@pytest.mark.parametrize("name", ENGINES)
def test_trials_are_those_of_the_cpu(name):
    trials = [trial(seed, 60, 0.1) for seed in range(4)]
    found = ENGINES[name].run(small_task(), trials, ON_GPU)
    for got, expected in zip(found, LoopEngine().run(small_task(), trials, ON_CPU), strict=True):
        assert got.status is Status.FINISHED
        assert got.train_loss == pytest.approx(expected.train_loss, rel=1e-3)
        assert [each.step for each in got.evaluations] == [each.step for each in expected.evaluations]


def test_a_run_repeats_bit_for_bit():
    first, again = (LoopEngine().run(small_task(), [trial(0, 60, 0.1)], ON_GPU)[0] for _ in range(2))
    assert list(first.train_loss) == list(again.train_loss)


def test_the_hot_loop_does_not_wait_for_the_device():
    training = Training(small_task(val=False).to(GPU), trial(0, 500, 0.1), replace(ON_GPU, eval_every=0))
    training.advance()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(20):
            training._update()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_reduced_precision_trains(precision):
    (trace,) = LoopEngine().run(small_task(), [trial(0, 100, 0.1)], replace(ON_GPU, precision=precision))
    assert trace.status is Status.FINISHED and trace.train_loss[-10:].mean() < trace.train_loss[:10].mean()


def test_a_stack_for_which_there_is_no_memory_goes_on_at_half_the_size(monkeypatch):
    update = Update.__call__

    def greedy(self, source, state, rows, hyperparameters):
        if len(state.steps) > 2:
            torch.empty(2**50, dtype=torch.uint8, device=GPU)
        return update(self, source, state, rows, hyperparameters)

    monkeypatch.setattr(Update, "__call__", greedy)
    trials = [trial(seed, 30, 0.1) for seed in range(5)]
    found = VectorEngine(slots=5, compile=False).run(small_task(), trials, ON_GPU)
    assert [each.status for each in found] == [Status.FINISHED] * 5


def test_one_trial_without_memory_fails_in_words():
    class Greedy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(6, 3)

        def forward(self, x):
            torch.empty(2**50, dtype=torch.uint8, device=x.device)
            return self.layer(x)

    with pytest.raises(Exception, match="ran out of memory"):
        LoopEngine().run(replace(small_task(), new_model=Greedy), [trial(0, 5, 0.1)], ON_GPU)


def test_adam_s_state_stays_on_the_device():
    recipe = replace(ON_GPU, optimizer=KINDS["adamw"](lr=0.01))
    training = Training(small_task().to(GPU), trial(0, 50, 0.01), recipe)
    training.advance()
    state = training._optimizer.state_dict()["state"]
    assert {tensor.device.type for each in state.values() for tensor in each.values() if tensor.ndim} == {"cuda"}
