"""What is known of the exponents of the best LR before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.search.transfer.law import Expected

Array = NDArray[np.float64]

#: The duration, in updates: whatever else moves, runs are shorter than the target's.
DURATION = "train.duration"

#: Exponents of the best LR that are usual: mean and standard deviation. Batch size: between not at all and in
#: proportion, for optimizers that divide by the gradient's size about the root (Malladi et al. 2022, arXiv:2205.10287).
#: All held against tasks of lrtool's own.
_BATCH, _BATCH_ADAPTIVE = (0.4, 0.3), (0.3, 0.3)
#: Of a key of the model. Of Adam's best LR over the width, in inverse proportion at most (Yang et al. 2022,
#: arXiv:2203.03466); gradient descent's hardly moves.
_MODEL, _MODEL_ADAPTIVE = (-0.1, 0.3), (-0.5, 0.3)
#: Over the duration: this part of the exponent of the convergence bound, which is −½ for most schedules, with a
#: standard deviation. Bjorck et al. 2024 (arXiv:2409.19913) find −0.32 for language models.
_OF_THE_BOUND, _DURATION = 0.5, 0.25
BOUND = -0.5
#: Runs of fewer updates show nothing; the best log LR of those as short has this error more, of longer ones less.
SHORTEST, _HASTE = 20, 0.5


def haste(updates: float | Array) -> Array:
    """What the best log LR of runs of so few updates is off the law of longer ones: a standard deviation."""
    return np.asarray(_HASTE * SHORTEST / np.asarray(updates))


def usual(keys: Sequence[str], adaptive: bool = True, bound: float = BOUND) -> Expected:
    """What is known beforehand of the exponents of these keys; nothing of others.

    `adaptive`: whether the optimizer divides by the size of the gradient, as Adam does. `bound`: the exponent over the
    duration of the peak LR at which the convergence bound is least.
    """
    known = {key: _MODEL_ADAPTIVE if adaptive else _MODEL for key in keys if key.startswith("model.")}
    others = {
        DURATION: (_OF_THE_BOUND * bound, _DURATION),
        "data.batch_size": _BATCH_ADAPTIVE if adaptive else _BATCH,
    }
    return {**known, **{key: others[key] for key in keys if key in others}}
