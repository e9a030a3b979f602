"""Data whose labels are partly wrong, so that long trainings learn the errors by heart and validation loss turns."""

from __future__ import annotations

import numpy as np

from lrtool.tasks.base import BuildContext
from lrtool.tasks.datasets.digits import Digits
from lrtool.tasks.datasets.mnist1d import Mnist1d
from lrtool.tasks.datasets.spirals import Spirals
from lrtool.tasks.memory import InMemory

#: Samples held out, of those that are not trained on.
_HELD_OUT = 1000

Pair = tuple[np.ndarray, np.ndarray]


def digits(samples: int, wrong: float, clean: bool = False) -> tuple[Pair, Pair]:
    """So many digits to train on."""
    return _split(Digits(), samples, wrong, clean)


def mnist1d(samples: int, wrong: float, clean: bool = False) -> tuple[Pair, Pair]:
    """So many strokes to train on."""
    return _split(Mnist1d(), samples, wrong, clean)


def spirals(samples: int, wrong: float, clean: bool = False) -> tuple[Pair, Pair]:
    """So many points of three spirals to train on."""
    return _split(Spirals(arms=3, noise=0.05), samples, wrong, clean)


def _split(kind: InMemory, samples: int, wrong: float, clean: bool) -> tuple[Pair, Pair]:
    """(train, val), standardised; a part `wrong` of the labels is drawn anew, of `clean` validation data none."""
    arrays, shape = kind.arrays(BuildContext())
    x, y = np.asarray(arrays.inputs[0], dtype=np.float32), arrays.target
    rng = np.random.default_rng(0)
    order = rng.permutation(len(y))
    drawn = np.where(rng.uniform(size=len(y)) < wrong, rng.integers(shape.outputs, size=len(y)), y)
    train, val = order[:samples], order[samples : samples + _HELD_OUT]
    x = (x - x[train].mean()) / x[train].std()
    return (x[train], drawn[train]), (x[val], (y if clean else drawn)[val])
