"""A small transformer language model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from lrtool.errors import UsageError
from lrtool.tasks.base import BuildContext, DataShape, Model

if TYPE_CHECKING:
    from torch import Tensor, nn


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
        return self._network(shape.vocabulary, shape.inputs[0])

    def _network(self, vocabulary: int, context: int) -> nn.Module:
        """Token and learned position embeddings, blocks, norm, linear.

        Embeddings start small (σ = 0.02), so the first predictions are close to uniform.
        """
        from torch import nn

        from lrtool.tasks.blocks import Network

        token, position = nn.Embedding(vocabulary, self.width), nn.Embedding(context, self.width)
        blocks = nn.Sequential(*(self._block() for _ in range(self.depth)))
        norm, head = nn.LayerNorm(self.width), nn.Linear(self.width, vocabulary)
        for table in (token, position):
            nn.init.normal_(table.weight, std=0.02)
        return Network(_logits, token=token, position=position, blocks=blocks, norm=norm, head=head)

    def _block(self) -> nn.Module:
        """Pre-norm: x + attention(norm(x)), then x + mlp(norm(x)) with four times the width inside."""
        from torch import nn

        from lrtool.tasks.blocks import Network

        width, dropout = self.width, self.dropout
        attention = causal_attention(width, self.heads, dropout)
        attend = nn.Sequential(nn.LayerNorm(width), attention, nn.Dropout(dropout))
        widen, narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        think = nn.Sequential(nn.LayerNorm(width), widen, nn.GELU(), narrow, nn.Dropout(dropout))
        return Network(_both, attend=attend, think=think)


def _logits(net: Any, tokens: Tensor) -> Tensor:
    """Tokens (batch, steps) → logits of the next token (batch, steps, vocabulary)."""
    x = net.token(tokens) + net.position.weight[: tokens.shape[1]]
    out: Tensor = net.head(net.norm(net.blocks(x)))
    return out


def _both(net: Any, x: Tensor) -> Tensor:
    """(batch, steps, width) → the same."""
    x = x + net.attend(x)
    out: Tensor = x + net.think(x)
    return out


def causal_attention(width: int, heads: int, dropout: float) -> nn.Module:
    """Multi-head self-attention in which a position sees itself and those before it: softmax(Q·Kᵀ/√d + mask)·V.

    Torch chooses a fused kernel where it has one. Those go through vmap one sample at a time, so whoever stacks this
    asks torch for the plain products (`math_attention` of the vector engine).
    """
    from torch import nn

    from lrtool.tasks.blocks import Network

    project, merge = nn.Linear(width, 3 * width), nn.Linear(width, width)
    return Network(_attention, heads=heads, project=project, merge=merge, dropout=nn.Dropout(dropout))


def _attention(net: Any, x: Tensor) -> Tensor:
    """(batch, steps, width) → the same."""
    from torch.nn import functional

    batch, steps, width = x.shape
    q, k, v = net.project(x).view(batch, steps, 3, net.heads, width // net.heads).permute(2, 0, 3, 1, 4)
    dropped = net.dropout.p if net.dropout.training else 0.0
    seen = functional.scaled_dot_product_attention(q, k, v, dropout_p=dropped, is_causal=True)
    out: Tensor = net.merge(seen.transpose(1, 2).reshape(batch, steps, width))
    return out
