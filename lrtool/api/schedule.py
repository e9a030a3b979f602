"""`lrtool.schedule`: a schedule to look at, to bind to a run, and to train by in a torch loop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrtool.api.results.base import Row, Shown
from lrtool.config.specs import ScheduleLike, Spec, as_schedule
from lrtool.schedules import Curve, Schedule
from lrtool.units import Duration

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch.optim import Optimizer

    from lrtool.live.curve_lr import CurveLR

#: Rows of the table of a long run.
_ROWS = 11


class ScheduleView(Shown):
    """A schedule with a peak LR and a length to show it at."""

    def __init__(self, spec: Spec, lr: float, steps: int) -> None:
        self._spec, self.lr, self.steps = spec, lr, steps

    @property
    def name(self) -> str:
        """What it is called: its kind and fields as they were given."""
        return self._spec.name

    @property
    def schedule(self) -> Schedule:
        """The schedule itself."""
        return self._spec.schedule

    @property
    def steps_per_epoch(self) -> int | None:
        """Updates of an epoch, where durations are in epochs."""
        return self._spec.steps_per_epoch

    @property
    def answer(self) -> str:
        """What it does, in a line."""
        from lrtool.report.schedules.text import facts

        values = self.values()
        return facts(self.name, values[:-1], float(values[-1])).strip()

    def values(self) -> Any:
        """The LR at updates 0 … steps, an array; the last one is held from then on."""
        return self.bind()(np.arange(self.steps + 1))

    def bind(self, lr: float | None = None, steps: int | None = None, steps_per_epoch: int | None = None) -> Curve:
        """The curve for a peak LR and a number of updates: `curve(t)` is the LR that update t uses, of arrays too."""
        per_epoch = steps_per_epoch if steps_per_epoch is not None else self.steps_per_epoch
        return self.schedule.bind(self.lr if lr is None else lr, self.steps if steps is None else steps, per_epoch)

    def torch(self, optimizer: Optimizer, steps: int, **options: Any) -> CurveLR:
        """An `LRScheduler` for a torch optimizer: call its `step()` after every `optimizer.step()`.

        Each parameter group has the LR that it was made with as its peak; `options` as `CurveLR` takes them.
        """
        from lrtool.live.curve_lr import CurveLR

        options.setdefault("steps_per_epoch", self.steps_per_epoch)
        return CurveLR(optimizer, self.schedule, steps, **options)

    def rows(self) -> list[Row]:
        """The LR at some updates, evenly spaced, from the first to the last."""
        values = self.values()
        at = np.unique(np.linspace(0, self.steps - 1, min(_ROWS, self.steps)).round().astype(int))
        return [{"step": int(step), "lr": float(values[step])} for step in at]

    def plot(self) -> Figure:
        """LR against update, and momentum where the schedule moves it."""
        from lrtool.report.plots.schedule import SchedulePlot, draw_schedule

        curves = self._spec.curves(self.lr, self.steps)
        tables = {name: curve.table() for name, curve in curves.items()}
        lr = tables.pop("lr")
        return draw_schedule(
            SchedulePlot({self.name: lr}, self.name, steps_per_epoch=self.steps_per_epoch, other=tables)
        )

    def explain(self) -> str:
        """All about its kind: formula, fields, when it helps and hurts, the same in other libraries."""
        from lrtool.report.schedules.text import explained

        return explained(self.schedule.kind)

    def save(self, folder: str | Path) -> Path:
        """Write schedule.png, .svg and .csv into a folder; gives its path."""
        from lrtool.report.schedules.preview import Bound, Preview

        bound = Bound.of(self._spec, self.lr, Duration(self.steps), self.steps_per_epoch)
        list(Preview((bound,)).write(False, folder=Path(folder)))
        return Path(folder)


def schedule(
    given: ScheduleLike,
    *,
    lr: float = 1.0,
    steps: int = 1000,
    steps_per_epoch: int | None = None,
    **fields: Any,
) -> ScheduleView:
    """A schedule by its kind and fields, to look at or to train by.

    given: a kind ("cosine"), a text ("cosine warmup=5%"), a mapping, a list of segments, or a YAML file; `fields` are
        those of the kind, as docs/schedules.md lists them.
    lr, steps: what it is shown at, and bound to where `bind` is not told otherwise.
    steps_per_epoch: needed where durations are in epochs.

    >>> import lrtool
    >>> curve = lrtool.schedule("cosine", warmup="5%").bind(lr=0.1, steps=1000)
    >>> curve([0, 49, 525, 1000]).round(4).tolist()
    [0.002, 0.1, 0.05, 0.0]

    In a training loop of one's own:

    >>> import torch
    >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    >>> scheduler = lrtool.schedule("cosine", warmup="5%").torch(optimizer, steps=1000)
    >>> optimizer.step(); scheduler.step()
    >>> round(optimizer.param_groups[0]["lr"], 4)
    0.004
    """
    found = as_schedule({"kind": given, **fields} if isinstance(given, str) and fields else given)
    name = found.kind
    if fields and not isinstance(given, str):
        found = as_schedule({**found.model_dump(exclude_unset=True), **fields})
    elif isinstance(given, str) and not fields:
        name = given
    name = " ".join([name, *(f"{key}={value}" for key, value in fields.items())])
    return ScheduleView(Spec(name, found, steps_per_epoch=steps_per_epoch), lr, steps)
