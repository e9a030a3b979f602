"""A small residual network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from lrtool.tasks.base import BuildContext, DataShape, Model
from lrtool.tasks.models._shape import outputs, planes

if TYPE_CHECKING:
    from torch import Tensor, nn


class ResNet(Model):
    """A residual network with batch norm, 1-D for samples (L,) or (C, L), 2-D for (C, H, W).

    Source: He et al. 2016, arXiv:1512.03385, the basic block of section 4.2.
    """

    kind: Literal["resnet"] = "resnet"
    channels: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (16, 32), min_length=1, description="Widths of the stages; each after the first halves the sides."
    )
    depth: int = Field(1, ge=1, description="Residual blocks per stage.")

    def build(self, shape: DataShape, context: BuildContext) -> nn.Module:
        """The network; raises UsageError where samples have no such shape."""
        from torch import nn

        from lrtool.tasks.blocks import CONV, NORM, Network, Shaped

        inputs, sizes = planes(shape, self.kind)
        axes, width = len(sizes), self.channels[0]
        stem = nn.Sequential(
            Shaped(inputs, *sizes), CONV[axes](inputs, width, 3, padding=1, bias=False), NORM[axes](width), nn.ReLU()
        )
        blocks: list[nn.Module] = []
        for stage, after in enumerate(self.channels):
            for number in range(self.depth):
                blocks.append(_residual(axes, width, after, 2 if stage and not number else 1))
                width = after
        head = nn.Linear(width, outputs(shape, self.kind))
        return Network(_logits, stem=stem, blocks=nn.Sequential(*blocks), head=head)


def _logits(net: Any, x: Tensor) -> Tensor:
    """Stem, stages, mean over space, linear: (batch, …) → (batch, outputs)."""
    out: Tensor = net.head(net.blocks(net.stem(x)).flatten(2).mean(-1))
    return out


def _residual(axes: int, inputs: int, outputs: int, stride: int) -> nn.Module:
    """Two convolutions with batch norm around a shortcut, which is a 1×1 convolution where the shape changes."""
    from torch import nn

    from lrtool.tasks.blocks import CONV, NORM, Network

    conv, norm = CONV[axes], NORM[axes]
    body = nn.Sequential(
        conv(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        norm(outputs),
        nn.ReLU(),
        conv(outputs, outputs, 3, padding=1, bias=False),
        norm(outputs),
    )
    shortcut: nn.Module = nn.Identity()
    if stride != 1 or inputs != outputs:
        shortcut = nn.Sequential(conv(inputs, outputs, 1, stride=stride, bias=False), norm(outputs))
    return Network(_around, body=body, shortcut=shortcut)


def _around(net: Any, x: Tensor) -> Tensor:
    """(batch, inputs, …) → (batch, outputs, …)."""
    out: Tensor = (net.body(x) + net.shortcut(x)).relu()
    return out
