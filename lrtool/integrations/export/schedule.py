"""`lrtool.export_schedule`: a schedule as code for another library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lrtool.api.schedules import show_schedules
from lrtool.integrations.export.targets import export


@dataclass(frozen=True)
class ExportedSchedule:
    """A schedule as `text` for `to`, with a peak of `lr`, over `steps` updates."""

    text: str
    to: str
    lr: float
    steps: int


def export_schedule(
    schedule: str | Path | Sequence[str],
    to: str = "torch",
    *,
    lr: float | None = None,
    steps: int | str | None = None,
    steps_per_epoch: int | None = None,
) -> ExportedSchedule:
    """Write a schedule as code for another library, or as a table: the same numbers without lrtool.

    schedule: a kind, a text ("cosine warmup=5%") or a config's path.
    to: torch, transformers, lightning, optax or csv.
    lr, steps, steps_per_epoch: as `show_schedules` takes them; the length of an epoch is not assumed here.

    Raises UsageError where something is missing or has no such form, ScheduleError where the schedule does not fit.

    >>> import lrtool
    >>> print(lrtool.export_schedule("linear", "csv", lr=0.1, steps=2).text.strip())
    step,lr
    0,0.1
    1,0.05
    2,0.0
    """
    run = show_schedules(schedule, lr=lr, steps=steps, steps_per_epoch=steps_per_epoch).only()
    return ExportedSchedule(export(run.spec, to, run.lr, run.steps), to, run.lr, run.steps)
