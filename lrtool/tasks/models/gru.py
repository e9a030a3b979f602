"""A recurrent network."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from lrtool.tasks.base import BuildContext, DataShape, Model
from lrtool.tasks.models._shape import numbers, outputs

if TYPE_CHECKING:
    from torch import Tensor, nn


class Gru(Model):
    """A gated recurrent network.

    Tokens (T,) are embedded and every position gives outputs. Numbers are read as a sequence, and the last step
    gives the outputs: (L,) is L steps of one number, (C, L) is L steps of C, (C, H, W) is H rows of C·W.

    Source: Cho et al. 2014, arXiv:1406.1078.
    """

    kind: Literal["gru"] = "gru"
    width: int = Field(64, ge=1, description="Width of the hidden state (and of the token embedding).")
    depth: int = Field(1, ge=1, description="Stacked layers.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout between layers; needs a depth of at least 2.")

    def build(self, shape: DataShape, context: BuildContext) -> nn.Module:
        """The network; raises UsageError where samples have no fixed shape."""
        from torch import nn

        from lrtool.tasks.blocks import Network

        encoder: nn.Module
        if shape.vocabulary is not None:
            encoder, inputs = nn.Embedding(shape.vocabulary, self.width), self.width
        else:
            channels, *rest = numbers(shape, self.kind) if len(shape.inputs) > 1 else (1, *numbers(shape, self.kind))
            steps, inputs = rest[0], channels * math.prod(rest[1:])
            encoder = Network(_rows, split=(channels, steps, inputs // channels), sequence=(steps, inputs))
        between = self.dropout if self.depth > 1 else 0.0
        gru = nn.GRU(inputs, self.width, self.depth, batch_first=True, dropout=between)
        head = nn.Linear(self.width, outputs(shape, self.kind))
        return Network(_forward, encoder=encoder, gru=gru, head=head, every=shape.target == "token")


def _forward(net: Any, x: Tensor) -> Tensor:
    """(batch, …) → (batch, outputs) of the last step, or (batch, steps, outputs) where every step has outputs."""
    states, _ = net.gru(net.encoder(x))
    out: Tensor = net.head(states if net.every else states[:, -1])
    return out


def _rows(net: Any, x: Tensor) -> Tensor:
    """Samples as sequences, at each step all channels and what follows: (batch, C, steps, …) → (batch, steps, all)."""
    return x.reshape(-1, *net.split).transpose(1, 2).reshape(-1, *net.sequence)
