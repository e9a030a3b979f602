"""A convolutional network."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from lrtool.tasks.base import BuildContext, DataShape, Model
from lrtool.tasks.models._shape import outputs, planes
from lrtool.tasks.models.mlp import Activation

if TYPE_CHECKING:
    from torch import nn


class Cnn(Model):
    """A convolutional network, 1-D for samples (L,) or (C, L), 2-D for (C, H, W).

    Per width convolution → norm → activation → max-pool by 2; then one linear layer.
    """

    kind: Literal["cnn"] = "cnn"
    channels: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (16, 32), min_length=1, description="Widths of the convolutions."
    )
    kernel: int = Field(3, ge=1, description="Side of the kernels; odd, so that the size is kept.")
    activation: Activation = Field("relu", description="The nonlinearity.")
    norm: Literal["none", "batch"] = Field("none", description="Normalisation after each convolution.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Part of the features dropped before the last layer.")

    @field_validator("kernel")
    @classmethod
    def _odd(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError(f"a kernel's side is odd, but got {kernel}; try {kernel + 1}")
        return kernel

    def build(self, shape: DataShape, context: BuildContext) -> nn.Module:
        """The network; raises UsageError where samples have no such shape."""
        from torch import nn

        from lrtool.tasks.blocks import Shaped

        inputs, sizes = planes(shape, self.kind)
        layers: list[nn.Module] = [Shaped(inputs, *sizes)]
        for width in self.channels:
            stage, sizes = self._stage(inputs, width, sizes)
            layers += stage
            inputs = width
        layers.append(nn.Flatten())
        if self.dropout:
            layers.append(nn.Dropout(self.dropout))
        return nn.Sequential(*layers, nn.Linear(inputs * math.prod(sizes), outputs(shape, self.kind)))

    def _stage(self, inputs: int, width: int, sizes: tuple[int, ...]) -> tuple[list[nn.Module], tuple[int, ...]]:
        """The layers of one width, and the sizes after them; they are halved while every side is at least 2."""
        from torch import nn

        from lrtool.tasks.blocks import ACTIVATIONS, CONV, NORM

        axes, batch_norm = len(sizes), self.norm == "batch"
        layers: list[nn.Module] = [
            CONV[axes](inputs, width, self.kernel, padding=self.kernel // 2, bias=not batch_norm)
        ]
        if batch_norm:
            layers.append(NORM[axes](width))
        layers.append(ACTIVATIONS[self.activation]())
        if min(sizes) >= 2:
            layers.append(nn.MaxPool1d(2) if axes == 1 else nn.MaxPool2d(2))
            sizes = tuple(size // 2 for size in sizes)
        return layers, sizes
