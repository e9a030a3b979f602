"""Schedules ranked by the convergence bound: rows, words, plots, files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrtool.config.specs import parse_items
from lrtool.errors import UsageError
from lrtool.report.plots.style import number
from lrtool.report.schedules.preview import Bound, asked_duration, write_file
from lrtool.report.theory.norms import gradient_norms, no_norms, resampled, run_at, updates_per_epoch
from lrtool.runs.folder import RunFolder
from lrtool.theory.bound import bound_over_time, last_iterate_bound
from lrtool.units import Duration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

#: Lengths of run at which the bound over time is evaluated.
_POINTS = 120


@dataclass(frozen=True)
class BoundedSchedule:
    """A schedule and its bound. `rates`: LRs at γ*, (steps,); `over_time`: the bound after `at` of its updates."""

    name: str
    steps: int
    gamma: float
    omega: float
    rates: Array
    at: Array
    over_time: Array

    @classmethod
    def of(cls, name: str, run: Bound, norms: Array | float, distance: float) -> BoundedSchedule:
        """The bound of a schedule that is bound to a run."""
        shape = run.values["lr"][:-1] / run.lr
        given = norms if isinstance(norms, float) else resampled(norms, len(shape))
        try:
            found = last_iterate_bound(shape, given, distance)
        except UsageError as error:
            raise UsageError(error.what, where=name, remedy=error.remedy) from None
        rates = found.gamma * shape
        at = np.unique(np.geomspace(1, len(shape), _POINTS).round().astype(int))
        over_time = bound_over_time(rates, at, given, distance)
        return cls(name, len(shape), found.gamma, found.omega, rates, at, over_time)


@dataclass(frozen=True)
class BoundRanking:
    """Schedules in the order given, with their bounds; `grad_norms` and `distance`: what was assumed of the task."""

    schedules: tuple[BoundedSchedule, ...]
    grad_norms: str
    distance: float
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        items: Sequence[str],
        lr: float | None = None,
        steps: Sequence[str] = (),
        steps_per_epoch: int | None = None,
        grad_norms: str | Path | None = None,
        grad_norm: float = 1.0,
        distance: float = 1.0,
    ) -> BoundRanking:
        """What a command line asks for: schedules, configs or run folders, each at every one of the lengths.

        `grad_norms`: a run folder whose norms are taken; else those of the one run among the items, where it has any;
        else the constant `grad_norm`. Raises UsageError with what to write instead.
        """
        heads = [item for item in items if "=" not in item]
        runs = [run_at(head) for head in heads]
        norms, said = _norms(grad_norms, [run for run in runs if run is not None], grad_norm)
        specs = parse_items([str(run.config) if (run := run_at(item)) else item for item in items])
        if not specs:
            raise UsageError("no schedule is given", remedy="write for example: lrtool theory bound linear cosine")
        found: list[BoundedSchedule] = []
        notes: list[str] = []
        per_epochs = [steps_per_epoch or (updates_per_epoch(run) if run is not None else None) for run in runs]
        # A kind by itself is as long as what it is compared with.
        own = (
            Bound.of(spec, lr, None, each).steps for spec, each in zip(specs, per_epochs, strict=True) if spec.duration
        )
        usual = None if steps else next(map(Duration, own), None)
        for length in steps or (None,):
            duration = None if length is None else asked_duration(length)
            for spec, per_epoch in zip(specs, per_epochs, strict=True):
                bound = Bound.of(spec, lr, duration or spec.duration or usual, per_epoch)
                notes += bound.notes
                name = f"{spec.name}, {bound.steps} updates" if len(steps) > 1 else spec.name
                found.append(BoundedSchedule.of(name, bound, norms, distance))
        notes += _said_of(norms, found)
        return cls(tuple(found), said, distance, tuple(dict.fromkeys(notes)))

    def rows(self) -> list[dict[str, Any]]:
        """A row for each schedule, the least bound first; ratios are to the schedule that was given first."""
        first = self.schedules[0]
        ranked = sorted(self.schedules, key=lambda each: each.omega)
        return [
            {
                "rank": rank,
                "name": each.name,
                "steps": each.steps,
                "gamma": each.gamma,
                "omega": each.omega,
                "lr_ratio": each.gamma / first.gamma,
                "omega_ratio": each.omega / first.omega,
            }
            for rank, each in enumerate(ranked, 1)
        ]

    def document(self) -> dict[str, Any]:
        """Everything, as `lrtool theory bound --json` prints it."""
        return {
            "first": self.schedules[0].name,
            "grad_norms": self.grad_norms,
            "distance": self.distance,
            "schedules": self.rows(),
            "over_time": {
                each.name: {"step": each.at.tolist(), "omega": each.over_time.tolist()} for each in self.schedules
            },
            "notes": list(self.notes),
        }

    @property
    def answer(self) -> str:
        """What the bound says, in a sentence."""
        best, *others = self.rows()
        if not others:
            return f"{best['name']}: the bound is least at a peak LR of γ* = {number(best['gamma'])}"
        compared = next((row for row in others if row["name"] == self.schedules[0].name), others[0])
        return (
            f"{best['name']} has the least bound; that of {compared['name']} is"
            f" {number(compared['omega'] / best['omega'])} times as high, its best LR"
            f" {number(compared['gamma'] / best['gamma'])} times as large"
        )

    def text(self) -> str:
        """The ranking as a table for a terminal."""
        first = self.schedules[0].name
        cells = [("rank", "schedule", "steps", "γ*", "Ω*", f"best LR / {first}", f"Ω* / {first}")]
        for row in self.rows():
            values = [f"{row[key]:.5g}" for key in ("gamma", "omega", "lr_ratio", "omega_ratio")]
            cells.append((str(row["rank"]), row["name"], str(row["steps"]), *values))
        widths = [max(len(row[place]) for row in cells) for place in range(len(cells[0]))]
        lines = [
            "  ".join(
                f"{cell:{sign}{width}}" for cell, sign, width in zip(row, "><>>>>>", widths, strict=True)
            ).rstrip()
            for row in cells
        ]
        return "\n".join([*lines, f"gradient norms: {self.grad_norms}; distance: {number(self.distance)}"])

    def plot(self) -> Figure:
        """The curves at γ*, and the bound over time."""
        from lrtool.report.theory.bound_plot import draw_bound

        return draw_bound(self)

    def write(self, folder: Path) -> list[Path]:
        """Write bound.png, bound.svg and bound.csv into a folder; OutputError where that fails."""
        from lrtool.report.plots.style import render

        figure = self.plot()
        paths = [folder / f"bound.{ending}" for ending in ("png", "svg", "csv")]
        for path, data in zip(paths, (render(figure, "png"), render(figure, "svg"), self._csv()), strict=True):
            write_file(path, data)
        return paths

    def _csv(self) -> bytes:
        text = io.StringIO()
        writer = csv.DictWriter(text, self.rows()[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows())
        return text.getvalue().encode()


def _norms(asked: str | Path | None, runs: Sequence[RunFolder], constant: float) -> tuple[Array | float, str]:
    """The gradient norms to take, and where they come from."""
    said = f"constant {number(constant)}"
    if asked is None:
        (run,) = runs if len(runs) == 1 else (None,)
        values = gradient_norms(run) if run is not None and run.command == "train" else None
        if run is not None and values is None:
            said += f" ({run.path} has logged none: train.grad_norm)"
        return (float(constant), said) if run is None or values is None else (values, f"measured, {run.path}")
    run = run_at(asked)
    if run is None:
        raise UsageError(f"there is no folder {asked}", where="--grad-norms", remedy="give the folder of a training")
    values = gradient_norms(run)
    if values is None:
        raise no_norms(run.path)
    return values, f"measured, {run.path}"


def _said_of(norms: Array | float, found: Sequence[BoundedSchedule]) -> list[str]:
    """What to know about measured norms."""
    if isinstance(norms, float) or all(each.steps == len(norms) for each in found):
        return []
    return [f"the gradient norms of {len(norms)} updates are stretched to the length of each schedule"]
