"""Handwritten digits, embedded in the package."""

from __future__ import annotations

from importlib import resources
from typing import Literal

import numpy as np

from lrtool.tasks.base import Arrays, BuildContext, DataShape
from lrtool.tasks.memory import InMemory, scale_inputs


class Digits(InMemory):
    """1,797 real handwritten digits, 8×8 pixels, 10 classes; standardised over all pixels of the training split.

    Source: Alpaydin & Kaynak 1998, Optical Recognition of Handwritten Digits, doi:10.24432/C50P49, CC BY 4.0.
    """

    kind: Literal["digits"] = "digits"

    def arrays(self, context: BuildContext) -> tuple[Arrays, DataShape]:
        """Images (1797, 1, 8, 8) with values 0 to 16, and labels (1797,)."""
        file = resources.files("lrtool.tasks.datasets") / "files" / "digits.npz"
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            images, labels = stored["images"], stored["labels"]
        arrays = Arrays((images[:, None].astype(np.float32),), labels.astype(np.int64))
        return arrays, DataShape(inputs=(1, 8, 8), outputs=10, target="class")

    def standardise(self, train: Arrays, val: Arrays | None) -> tuple[Arrays, Arrays | None]:
        """One mean and one scale for all pixels: border pixels are almost constant."""
        return scale_inputs(train, val, axis=None)
