"""Schedules as source code for other libraries: self-contained, the same numbers, no lrtool needed."""

from lrtool.integrations.export.schedule import ExportedSchedule, export_schedule
from lrtool.integrations.export.targets import TARGETS, export

__all__ = ["TARGETS", "ExportedSchedule", "export", "export_schedule"]
