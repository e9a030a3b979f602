"""A small transformer language model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from lrtool.errors import UsageError
from lrtool.tasks.base import BuildContext, DataShape, Model

if TYPE_CHECKING:
    from torch import nn


class Transformer(Model):
    """A decoder-only, causal transformer: tokens in, logits of the next token out, at every position.

    Source: Vaswani et al. 2017, arXiv:1706.03762; pre-norm as in Radford et al. 2019 (GPT-2).
    """

    kind: Literal["transformer"] = "transformer"
    width: int = Field(64, ge=1, description="Width of the residual stream; a multiple of `heads`.")
    depth: int = Field(2, ge=1, description="Blocks.")
    heads: int = Field(4, ge=1, description="Attention heads per block.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout of attention weights and of both branches.")

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.width % self.heads:
            raise ValueError(
                f"width must be a multiple of heads, but got width {self.width} and heads {self.heads};"
                f" try width: {-(-self.width // self.heads) * self.heads}"
            )
        return self

    def build(self, shape: DataShape, context: BuildContext) -> nn.Module:
        """The network; raises UsageError where samples are not sequences of tokens."""
        from lrtool.tasks import blocks

        if shape.vocabulary is None or len(shape.inputs) != 1:
            raise UsageError(
                "a transformer reads sequences of tokens, but this data set gives other samples",
                where="model.kind",
                remedy="write data: {kind: text}, or another model (mlp, cnn, gru)",
            )
        if shape.target != "token":
            raise UsageError(
                "a transformer predicts a token at every position, but this data set has other targets",
                where="model.kind",
                remedy="write kind: gru, or bring a model of your own with `use:`",
            )
        return blocks.Transformer(shape.vocabulary, shape.inputs[0], self.width, self.depth, self.heads, self.dropout)
