"""What it takes to watch a training for divergence, which is done for one trial after the other."""

from __future__ import annotations

import numpy as np
import torch

from lrtool.engine import clock
from lrtool.engine.recorder import DivergenceWatch
from lrtool.engine.trials import Recipe

#: Updates of a made-up loss, by which it is seen, and those after which losses are looked at.
_WATCHED, _CHUNK = 512, 64


def watching(recipe: Recipe) -> float:
    """Seconds of a trial's update for keeping its loss and seeing whether it diverges.

    By a loss that falls slowly and noisily, as a small LR's does.
    """
    rule = recipe.divergence_rule if recipe.stop_on_divergence else None
    noise = np.random.default_rng(0).normal(size=_WATCHED)
    chunks = np.split(2 - np.linspace(0, 0.2, _WATCHED) + 0.1 * noise, _WATCHED // _CHUNK)

    def once() -> None:
        watch = DivergenceWatch(rule)
        for losses in chunks:
            watch.first(losses)

    return clock.best_time(once, torch.device("cpu")) / _WATCHED
