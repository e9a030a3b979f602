"""lrtool's schedules in a training loop of one's own: the drop-in torch LR scheduler."""

from lrtool.live.curve_lr import CurveLR

__all__ = ["CurveLR"]
