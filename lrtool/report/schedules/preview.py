"""Schedules bound to a run and drawn: text, PNG, SVG and CSV from the same values."""

from __future__ import annotations

import csv as csv_files
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lrtool.config.specs import Spec, parse_items
from lrtool.errors import ScheduleError, UsageError
from lrtool.report.schedules.text import drawn, facts
from lrtool.runs.atomic import output_error, write_output
from lrtool.units import Duration

Array = NDArray[np.float64]

#: What is drawn where neither the command nor the config says otherwise.
_LR, _STEPS, _STEPS_PER_EPOCH = 0.1, 1000, 100
#: Endings that say a format.
_ENDINGS = frozenset({".png", ".svg", ".csv", ".jpg", ".jpeg", ".pdf", ".json"})
#: More values than this are refused rather than kept in memory.
_MOST = 20_000_000


@dataclass(frozen=True)
class Bound:
    """A schedule with its run: values at updates 0 … steps by hyperparameter, each (steps + 1,)."""

    spec: Spec
    lr: float
    steps: int
    values: Mapping[str, Array]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, spec: Spec, lr: float | None, duration: Duration | None, steps_per_epoch: int | None) -> Bound:
        """Bind a schedule as the command line says, else as its config does; ScheduleError where it does not fit.

        Where the length of an epoch is not known, one is assumed, and a note says so.
        """
        spec = replace(spec, steps_per_epoch=steps_per_epoch, duration=duration or spec.duration)
        peak = lr if lr is not None else spec.lr if spec.lr is not None else _LR
        spec, steps, notes = _length(spec)
        if steps > _MOST:
            raise ScheduleError(f"{steps} updates are too many to draw", where="steps", remedy=f"at most {_MOST}")
        try:
            values = {name: curve(np.arange(steps + 1)) for name, curve in spec.curves(peak, steps).items()}
        except ScheduleError as error:
            remedy = error.remedy
            if "steps per epoch are unknown" in error.what:
                remedy = "or pass --steps-per-epoch"
            raise ScheduleError(error.what, where=_place(spec, error.where), remedy=remedy) from None
        return cls(spec, peak, steps, values, notes)


@dataclass(frozen=True)
class Preview:
    """One or several schedules to look at."""

    runs: tuple[Bound, ...]

    @classmethod
    def of(cls, items: Sequence[str], lr: float | None, steps: str | None, steps_per_epoch: int | None) -> Preview:
        """What a command line asks for; raises UsageError with what to write instead."""
        duration = None if steps is None else asked_duration(steps)
        if steps_per_epoch is not None and steps_per_epoch < 1:
            raise UsageError(
                f"an epoch has at least 1 update, but got {steps_per_epoch}",
                where="--steps-per-epoch",
                remedy="try 100",
            )
        specs = parse_items(items)
        if not specs:
            raise UsageError(
                "no schedule is given",
                remedy="write for example: lrtool schedule show cosine warmup=5% (`lrtool schedule list` has all)",
            )
        return cls(tuple(Bound.of(spec, lr, duration, steps_per_epoch) for spec in specs))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed."""
        return tuple(note for run in self.runs for note in run.notes)

    def only(self) -> Bound:
        """The one schedule there is, with nothing assumed; UsageError where there are several, or it must be."""
        if len(self.runs) > 1:
            names = ", ".join(run.spec.name for run in self.runs)
            raise UsageError(f"one schedule can be exported at a time, but got: {names}", remedy="export each alone")
        (run,) = self.runs
        if run.notes:
            raise UsageError(
                "the length of an epoch is known only with the data", where=run.spec.name,
                remedy="pass --steps-per-epoch, or the whole run's updates as --steps",
            )  # fmt: skip
        return run

    def text(self, log: bool, width: int) -> str:
        """For a terminal: the LRs on common axes, other hyperparameters of a single schedule below, facts."""
        parts = [drawn({run.spec.name: run.values["lr"][:-1] for run in self.runs}, log, width)]
        parts += [drawn({name: values}, width=width, height=6) for name, values in self._others().items()]
        lines = [facts(run.spec.name, run.values["lr"][:-1], float(run.values["lr"][-1])) for run in self.runs]
        return "\n".join([*parts, "\n".join(lines)]) + "\n"

    def summary(self) -> list[dict[str, Any]]:
        """What --json prints."""
        return [
            {
                "name": run.spec.name,
                "schedule": run.spec.schedule.model_dump(mode="json"),
                "lr": run.lr,
                "steps": run.steps,
                "steps_per_epoch": run.spec.steps_per_epoch,
                "first": float(run.values["lr"][0]),
                "highest": float(run.values["lr"][:-1].max()),
                "highest_at": int(run.values["lr"][:-1].argmax()),
                "last": float(run.values["lr"][-2]),
                "then": float(run.values["lr"][-1]),
                "moves": list(run.values),
                "notes": list(run.notes),
            }
            for run in self.runs
        ]

    def csv(self) -> str:
        """A row an update and one for the value held after the last; one column for each curve."""
        many = len(self.runs) > 1
        columns = {
            run.spec.name if many else name: values.tolist()
            for run in self.runs
            for name, values in run.values.items()
            if name == "lr" or not many
        }
        text = io.StringIO()
        writer = csv_files.writer(text, lineterminator="\n")
        writer.writerow(["step", *columns])
        rows = zip_longest(*columns.values(), fillvalue="")
        writer.writerows([step, *row] for step, row in enumerate(rows))
        return text.getvalue()

    def _picture(self, form: Literal["png", "svg"], log: bool) -> bytes:
        from lrtool.report.plots.schedule import SchedulePlot, draw_schedule
        from lrtool.report.plots.style import render

        known = {run.spec.steps_per_epoch for run in self.runs}
        names = [run.spec.name for run in self.runs]
        plot = SchedulePlot(
            curves={run.spec.name: run.values["lr"][:-1] for run in self.runs},
            title=names[0] if len(names) == 1 else "Schedules",
            log=log,
            steps_per_epoch=known.pop() if len(known) == 1 else None,
            other=self._others(),
        )
        return render(draw_schedule(plot), form)

    def write(
        self,
        log: bool,
        *,
        png: Path | None = None,
        svg: Path | None = None,
        csv: Path | None = None,
        folder: Path | None = None,
    ) -> Iterator[Path]:
        """Write the files that are asked for, each whole or not at all, and give their paths as they are done.

        Raises OutputError where one cannot be written.
        """
        asked: list[tuple[Literal["png", "svg", "csv"], Path | None]] = [("png", png), ("svg", svg), ("csv", csv)]
        if folder is not None:
            asked += [("png", folder / "schedule.png"), ("svg", folder / "schedule.svg")]
            asked.append(("csv", folder / "schedule.csv"))
        for form, path in asked:
            if path is not None:
                write_file(path, self.csv().encode() if form == "csv" else self._picture(form, log))
                yield path

    def _others(self) -> dict[str, Array]:
        """Momentum and the like of a single schedule."""
        if len(self.runs) > 1:
            return {}
        return {name: values[:-1] for name, values in self.runs[0].values.items() if name != "lr"}


def check_endings(**files: Path | None) -> None:
    """UsageError where the name of a file, by format, ends as another format's would."""
    for form, path in files.items():
        if path is None or path.suffix.lower() not in _ENDINGS - {f".{form}"}:
            continue
        ending = path.suffix.lower().removeprefix(".")
        other = f", or --{ending} {path}" if ending in files else ""
        raise UsageError(
            f"{form.upper()} would be written to a file whose name ends with {path.suffix}: {path}",
            where=f"--{form}",
            remedy=f"write --{form} {path.with_suffix('.' + form)}{other}",
        )


def write_file(path: Path, data: bytes) -> None:
    """Write a file and the folders above it; raises OutputError with the place and the remedy."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(path, error) from None
    write_output(path, data)


def asked_duration(text: str) -> Duration:
    """What --steps says."""
    try:
        duration = Duration.parse(text)
    except ValueError:
        duration = None
    if duration is None or duration.unit == "percent" or not duration.amount:
        raise UsageError(
            f"a run takes at least 1 update, but got {text!r}", where="--steps", remedy="write 500, or 20ep for epochs"
        )
    return duration


def _length(spec: Spec) -> tuple[Spec, int, tuple[str, ...]]:
    """Updates of the run that a config describes, with what had to be assumed."""
    duration = spec.duration
    if duration is None:
        return spec, _STEPS, ()
    notes: tuple[str, ...] = ()
    if duration.unit == "epochs" and spec.steps_per_epoch is None:
        spec = replace(spec, steps_per_epoch=_STEPS_PER_EPOCH)
        notes = (
            f"{spec.name} takes {duration.written()}; an epoch is drawn as {_STEPS_PER_EPOCH} updates,"
            " since its length is known only with the data (--steps-per-epoch sets it)",
        )
    try:
        return spec, max(duration.steps(per_epoch=spec.steps_per_epoch), 1), notes
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        raise UsageError(what, where=spec.name, remedy=f"{remedy} (--steps)") from None


def _place(spec: Spec, where: str | None) -> str:
    """Where an error lies: what is drawn is the schedule, so that its own fields need not be said to be its."""
    field = "" if where in (None, "schedule") else str(where).removeprefix("schedule.")
    return f"{spec.name}: {field}" if field else spec.name
