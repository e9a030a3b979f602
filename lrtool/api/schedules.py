"""`lrtool.schedule_kinds`, `explain_schedule`, `show_schedules`: schedules to choose from, and side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lrtool.config.specs import words

if TYPE_CHECKING:
    from lrtool.report.schedules.preview import Preview
    from lrtool.report.schedules.reference import Entry


def schedule_kinds() -> list[Entry]:
    """Every kind of schedule, with its formula, fields, and the same in other libraries.

    >>> import lrtool
    >>> [each.kind for each in lrtool.schedule_kinds()][:3]
    ['clipped', 'constant', 'cosine']
    """
    from lrtool.report.schedules.reference import entry
    from lrtool.schedules import KINDS

    return [entry(kind) for kind in KINDS.kinds]


def explain_schedule(name: str) -> Entry:
    """A kind of schedule by its name here or in another library: formula, fields, when it helps and hurts, reference.

    Raises UsageError with the nearest name for an unknown one, and for reduce-on-plateau, which is no schedule but
    a section of the config.

    >>> import lrtool
    >>> lrtool.explain_schedule("CosineAnnealingLR").kind
    'cosine'
    """
    from lrtool.errors import UsageError
    from lrtool.report.schedules.parity import PLATEAU, PLATEAU_HERE, kind_elsewhere
    from lrtool.report.schedules.reference import entry
    from lrtool.schedules import KINDS

    if name in PLATEAU:
        what = f"{name} follows what training measures, so it is no schedule"
        raise UsageError(what, remedy=f"write beside it in a config: {PLATEAU_HERE}")
    # A name that is found nowhere is an error that lists the nearest kinds.
    return entry(name if name in KINDS.kinds else kind_elsewhere(name, KINDS.kinds) or name)


def show_schedules(
    schedules: str | Path | Sequence[str | Path],
    *,
    lr: float | None = None,
    steps: int | str | None = None,
    steps_per_epoch: int | None = None,
) -> Preview:
    """One or several schedules to look at side by side: `.text(log, width)`, `.write(png=…)`, `.csv()`, `.summary()`.

    schedules: each a kind, a text ("cosine warmup=5%") or a config's path.
    lr, steps: peak LR and length (updates, or "5ep"); unsaid, the config's, else 0.1 and 1,000 updates.
    steps_per_epoch: of the data; where it is needed and unsaid, one is assumed, which `.notes` say.

    Raises UsageError and ScheduleError with what to write instead.

    >>> import lrtool
    >>> shown = lrtool.show_schedules(["cosine", "linear warmup=10%"], lr=0.1, steps=100)
    >>> [(each["name"], each["highest_at"]) for each in shown.summary()]
    [('cosine', 0), ('linear warmup=10%', 9)]
    """
    from lrtool.report.schedules.preview import Preview

    given = [schedules] if isinstance(schedules, str | Path) else schedules
    items = [word for each in given for word in words(str(each))]
    return Preview.of(items, lr, None if steps is None else str(steps), steps_per_epoch)
