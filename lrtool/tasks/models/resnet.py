"""A small residual network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from lrtool.tasks.base import BuildContext, DataShape, Model
from lrtool.tasks.models._shape import outputs, planes

if TYPE_CHECKING:
    from torch import nn


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
        from lrtool.tasks import blocks

        channels, sizes = planes(shape, self.kind)
        return blocks.ResNet(channels, sizes, self.channels, self.depth, outputs(shape, self.kind))
