"""The small image sets that torchvision reads."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from lrtool.errors import MissingExtraError, UsageError
from lrtool.printable import brief
from lrtool.tasks.base import Arrays, BuildContext, DataShape
from lrtool.tasks.memory import InMemory, scale_inputs


class Torchvision(InMemory):
    """A training set of torchvision's, held in memory; `val_fraction` of it is for validation.

    The set's own test images are left untouched. Standardised over all pixels of the training split.
    """

    kind: Literal["torchvision"] = "torchvision"
    name: Literal["MNIST", "FashionMNIST", "KMNIST", "CIFAR10", "CIFAR100"] = Field(description="Which set.")
    root: str = Field("data", description="Folder of the files, relative to the config.")
    download: bool = Field(False, description="Whether files that are missing may be fetched from the internet.")

    def arrays(self, context: BuildContext) -> tuple[Arrays, DataShape]:
        """Images (samples, channels, height, width) and classes (samples,); MissingExtraError without torchvision."""
        try:
            import torchvision
        except ImportError:
            raise MissingExtraError("torchvision", extra="images", where="data.kind") from None
        try:
            stored = getattr(torchvision.datasets, self.name)(context.folder / self.root, download=self.download)
        except RuntimeError as error:
            raise UsageError(
                f"{self.name} cannot be read from {context.folder / self.root} ({brief(str(error))})",
                where="data.root",
                remedy="write the folder that holds it, or download: true",
            ) from None
        images, labels = np.asarray(stored.data), np.asarray(stored.targets, dtype=np.int64)
        images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
        return Arrays((images.astype(np.float32),), labels), DataShape(images.shape[1:], len(stored.classes), "class")

    def standardise(self, train: Arrays, val: Arrays | None) -> tuple[Arrays, Arrays | None]:
        """One mean and one scale for all pixels."""
        return scale_inputs(train, val, axis=None)
