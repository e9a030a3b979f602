"""What a loss curve is predicted for: a config, a kind of schedule, a run folder, or a CSV file of LRs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lrtool.config.specs import parse_items, words
from lrtool.errors import UsageError
from lrtool.report.schedules.preview import Bound, asked_duration
from lrtool.report.theory.curves import curve_rates, loss_curve, warmup_of
from lrtool.report.theory.norms import run_at, updates_per_epoch
from lrtool.theory.loss_curve import LossCurve

if TYPE_CHECKING:
    from lrtool.config.schema import Config

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """LRs to predict a curve for, (T,).

    `measured`: what such a run gave, where it was trained; `config`: its config.
    """

    name: str
    rates: Array
    warmup: int
    measured: LossCurve | None = None
    config: Config | None = None
    notes: tuple[str, ...] = ()

    @property
    def peak(self) -> float:
        """The greatest LR."""
        return float(self.rates.max())


def target(
    text: str, runs: Sequence[str | Path], peak: float, steps: str | None = None, per_epoch: int | None = None
) -> Target:
    """The target that a word of the command line names.

    `runs`: what the law is fitted to: an epoch is as long as theirs, where they say. `peak`: their greatest LR, which a
    bare kind of schedule takes too. Raises UsageError where it cannot be read or bound.
    """
    run = run_at(text)
    if run is not None and run.command == "train":
        found = loss_curve(text)
        return Target(f"{run.path.parent.name}/{run.path.name}", found.rates, found.warmup, found)
    if Path(text).suffix.lower() == ".csv":
        if not Path(text).is_file():
            raise UsageError("there is no such file", where=text, remedy="give a config, a run folder or a CSV file")
        found, measured = curve_rates(Path(text))
        return Target(found.name, found.rates, found.warmup, found if measured else None)
    items = [str(run.config)] if run is not None else words(text)
    spec, *more = parse_items(items)
    if more:
        raise UsageError(
            f"{text!r} is more than one schedule", where="--config", remedy="give the option once for each"
        )
    per_epoch = per_epoch or _epoch(runs)
    duration = None if steps is None else asked_duration(steps)
    if duration is None and spec.duration is None:
        raise UsageError(
            f"how long the run of {spec.name!r} is, is not said",
            where="--steps",
            remedy="write for example --steps 10000",
        )
    bound = Bound.of(spec, spec.lr or peak, duration, per_epoch)
    rates = bound.values["lr"][:-1]
    if not rates.any():
        raise UsageError("the LR is 0 throughout", where=text, remedy="give a schedule that trains")
    return Target(spec.name, rates, warmup_of(rates), None, _config(items[0]), bound.notes)


def _config(word: str) -> Config | None:
    """The whole config that a word names, where it is one."""
    from lrtool.config.load import load_config

    if not Path(word).is_file():
        return None
    try:
        return load_config(Path(word))
    except UsageError:
        return None  # a schedule alone


def _epoch(runs: Sequence[str | Path]) -> int | None:
    """Updates of an epoch of the first run that says it."""
    found = (updates_per_epoch(run) for each in runs if (run := run_at(each)) is not None)
    return next((each for each in found if each is not None), None)
