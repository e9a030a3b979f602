"""A multilayer perceptron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from lrtool.tasks.base import BuildContext, DataShape, Model
from lrtool.tasks.models._shape import features, outputs

if TYPE_CHECKING:
    from torch import nn

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"]


class Mlp(Model):
    """A multilayer perceptron on flattened samples: per hidden layer linear → norm → activation → dropout."""

    kind: Literal["mlp"] = "mlp"
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field((128, 128), description="Widths of the hidden layers.")
    activation: Activation = Field("relu", description="The nonlinearity.")
    norm: Literal["none", "batch", "layer"] = Field("none", description="Normalisation before each activation.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Part of the hidden units dropped in training.")

    def build(self, shape: DataShape, context: BuildContext) -> nn.Module:
        """The network; raises UsageError where the samples are not one tensor of numbers."""
        from torch import nn

        from lrtool.tasks.blocks import ACTIVATIONS

        inputs = features(shape, self.kind)
        layers: list[nn.Module] = [nn.Flatten()]
        for width in self.hidden:
            layers.append(nn.Linear(inputs, width))
            if self.norm != "none":
                layers.append(nn.BatchNorm1d(width) if self.norm == "batch" else nn.LayerNorm(width))
            layers.append(ACTIVATIONS[self.activation]())
            if self.dropout:
                layers.append(nn.Dropout(self.dropout))
            inputs = width
        return nn.Sequential(*layers, nn.Linear(inputs, outputs(shape, self.kind)))
