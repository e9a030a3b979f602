"""MNIST-1D, made by the package of that name."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
from pydantic import Field

from lrtool.errors import MissingExtraError
from lrtool.tasks.base import Arrays, BuildContext, DataShape
from lrtool.tasks.memory import InMemory, scale_inputs


class Mnist1d(InMemory):
    """Ten classes of one-dimensional strokes, 40 numbers each; made on this machine, nothing is downloaded.

    Source: Greydanus & Kobak 2024, arXiv:2011.14439, with that package's own generator.
    """

    kind: Literal["mnist1d"] = "mnist1d"
    samples: int = Field(5000, ge=10, description="Samples in all; rounded down to a multiple of the ten classes.")
    seed: int = Field(42, ge=0, lt=2**32, description="Seed of the generator; 42 is the published set.")

    def arrays(self, context: BuildContext) -> tuple[Arrays, DataShape]:
        """Strokes (samples, 1, 40) and classes (samples,); MissingExtraError without the package."""
        try:
            from mnist1d.data import get_dataset_args, make_dataset
        except ImportError:
            raise MissingExtraError("mnist1d", extra="datasets", where="data.kind") from None
        settings = get_dataset_args()
        settings.num_samples, settings.seed = self.samples, self.seed
        with _random_state_kept():
            made = make_dataset(settings)
        x = np.concatenate([made["x"], made["x_test"]])
        y = np.concatenate([made["y"], made["y_test"]])
        return Arrays((x[:, None],), y.astype(np.int64)), DataShape((1, x.shape[1]), 10, "class")

    def standardise(self, train: Arrays, val: Arrays | None) -> tuple[Arrays, Arrays | None]:
        """One mean and one scale for the whole stroke: its parts share a unit."""
        return scale_inputs(train, val, axis=None)


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """The generator seeds Python's and NumPy's global random states; put both back."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
