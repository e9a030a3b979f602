"""A convolutional network."""

from __future__ import annotations

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
        from lrtool.tasks import blocks

        channels, sizes = planes(shape, self.kind)
        return blocks.cnn(
            channels,
            sizes,
            self.channels,
            outputs(shape, self.kind),
            kernel=self.kernel,
            activation=self.activation,
            batch_norm=self.norm == "batch",
            dropout=self.dropout,
        )
