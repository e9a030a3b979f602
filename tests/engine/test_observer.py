"""An observer needs only the methods of what it wants to hear."""

import numpy as np
import torch

from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.observer import Observer
from lrtool.engine.trials import Recipe, Trace, Trial
from lrtool.engine.vector.engine import VectorEngine
from lrtool.optimizers import KINDS
from tests.engine.contract import small_task, trial


class Counting(Observer):
    """Hears when a call begins, and of entries; of nothing else."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.entries = 0

    def begin(self, trials: list[Trial], first: int = 0) -> None:
        self.begun.append(len(trials))

    def recorded(self, trial: int, trace: Trace, start: int) -> None:
        self.entries += trace.steps - start


def test_every_engine_tells_what_there_is_to_hear() -> None:
    trials, recipe = [trial(seed, 12, 0.1) for seed in range(3)], Recipe(KINDS["sgd"](lr=0.1), eval_every=4)
    for engine in (LoopEngine(), VectorEngine(compile=False)):
        counting, silent = Counting(), Observer()
        with torch.random.fork_rng():
            traces = engine.run(small_task(), trials, recipe, counting)
            again = engine.run(small_task(), trials, recipe, silent)
        counting.close()
        assert counting.begun == [3] and counting.entries == 36
        for one, other in zip(traces, again, strict=True):
            np.testing.assert_array_equal(one.train_loss, other.train_loss)
