"""Schedules as source code for other libraries: self-contained, the same numbers, no lrtool needed."""

from lrtool.integrations.export.targets import TARGETS, export

__all__ = ["TARGETS", "export"]
