"""Predicted loss curves: rows, words, plots, files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrtool.errors import UsageError
from lrtool.report.plots.style import number
from lrtool.report.theory.curves import loss_curve
from lrtool.report.theory.targets import Target, target
from lrtool.report.theory.written import TheoryFolder
from lrtool.theory.laws.band import LossBand, banded
from lrtool.theory.laws.best_schedule import best_rates
from lrtool.theory.laws.choice import ChosenLaw, choose_law
from lrtool.theory.laws.fit import Fit
from lrtool.theory.loss_curve import LossCurve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

#: Moments of a curve that are predicted.
_POINTS = 300
#: Logarithm of a factor of the loss that a band may be wide, either way, before it says nothing.
_USELESS = 0.5
#: LRs beyond those of the runs by this factor are another regime.
_OTHER_RATE = 1.1


@dataclass(frozen=True)
class Predicted:
    """A target's predicted curve, and how far it is from what was measured, where it was."""

    target: Target
    band: LossBand
    accuracy: CurveErrors | None

    @classmethod
    def of(cls, chosen: ChosenLaw, goal: Target) -> Predicted:
        """Predict a target; UsageError where the runs cannot tell."""
        steps = len(goal.rates)
        at = np.unique(np.linspace(max(goal.warmup, steps * 0.03, 1), steps, _POINTS).round().astype(np.int64))
        band = banded(chosen, goal.rates, goal.warmup, at)
        if band.loss[-1] <= 0:
            raise UsageError(
                f"the {chosen.fit.law.name} would have a loss of {number(float(band.loss[-1]))} in the end: it does not"
                " describe these runs",
                where=goal.name,
                remedy="laws are for losses that no run brings down to 0; give longer runs, or --metric val_loss",
            )
        width = float(np.log(band.high[-1] / band.loss[-1]))
        if not width < _USELESS:
            raise UsageError(
                "these runs cannot identify the law well enough for this target: the final loss would be"
                f" {number(float(band.loss[-1]))}, give or take a factor of {number(float(np.exp(min(width, 50))))}",
                where=goal.name,
                remedy="add longer runs, or runs under other schedules",
            )
        accuracy = None if goal.measured is None else CurveErrors.of(chosen.fit, goal.measured)
        return cls(goal, band, accuracy)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know about this one."""
        return self.target.notes

    def band_rows(self) -> Iterator[tuple[Any, ...]]:
        """Name, step, loss and band of every moment."""
        band = self.band
        for values in zip(band.steps, band.loss, band.low, band.high, strict=True):
            yield self.target.name, int(values[0]), *map(float, values[1:])

    def row(self) -> dict[str, Any]:
        """The numbers of the end of the run."""
        found = {
            "name": self.target.name,
            "steps": len(self.target.rates),
            "peak_lr": self.target.peak,
            "loss": float(self.band.loss[-1]),
            "low": float(self.band.low[-1]),
            "high": float(self.band.high[-1]),
        }
        return found | (self.accuracy.row() if self.accuracy is not None else {})


@dataclass(frozen=True)
class CurveErrors:
    """How a predicted curve fits a measured one, over all its losses: R², mean absolute and worst relative error."""

    r2: float
    mae: float
    worst: float
    final: float
    measured: float

    @classmethod
    def of(cls, fit: Fit, curve: LossCurve) -> CurveErrors:
        """The accuracy on a curve, from the end of its warm-up."""
        first = max(curve.warmup, 1)
        kept = (curve.steps >= first) & (curve.used[curve.steps] > 0)
        steps, losses = curve.steps[kept], curve.losses[kept]
        rest = fit.loss(curve.rates, curve.warmup, steps) - losses
        around = float(np.sum((losses - losses.mean()) ** 2))
        return cls(
            1 - float(np.sum(rest**2)) / around if around > 0 else -np.inf,
            float(np.abs(rest).mean()),
            float(np.abs(rest / losses).max()),
            float(rest[-max(1, len(rest) // 20) :].mean()),
            float(losses[-max(1, len(rest) // 20) :].mean()),
        )

    def row(self) -> dict[str, float]:
        """The same as a mapping."""
        return {"r2": self.r2, "mae": self.mae, "worst_relative_error": self.worst, "measured_loss": self.measured,
                "final_error": self.final}  # fmt: skip


@dataclass(frozen=True)
class LawPrediction:
    """The law of some runs, and the curves that it predicts; the last one may be the best schedule it knows."""

    chosen: ChosenLaw
    curves: tuple[LossCurve, ...]
    predicted: tuple[Predicted, ...]
    optimized: Predicted | None
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        runs: Sequence[str | Path],
        targets: Sequence[str],
        optimize: bool = False,
        steps: str | None = None,
        steps_per_epoch: int | None = None,
        metric: str | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> LawPrediction:
        """Fit the laws to runs and predict targets; `optimize`: also the best schedule for the first target.

        Raises UsageError where something cannot be read, or the runs cannot identify the law.
        """
        curves = tuple(loss_curve(each, metric) for each in runs)
        chosen = choose_law(curves, progress)
        peak = chosen.fit.rates[1]
        goals = [target(each, runs, peak, steps, steps_per_epoch) for each in targets]
        predicted = tuple(Predicted.of(chosen, each) for each in goals)
        best = None
        if optimize:
            if not goals:
                raise UsageError("what the best schedule is for is not said", where="--optimize",
                                 remedy="add --config TARGET, whose length, peak and warm-up it takes")  # fmt: skip
            progress("searching the best schedule")
            best = Predicted.of(chosen, _best(chosen, goals[0]))
        notes = [note for each in predicted for note in (*each.notes, *_beyond(chosen, each))]
        return cls(chosen, curves, predicted, best, tuple(dict.fromkeys([*_of_runs(curves), *notes])))

    def rows(self) -> list[dict[str, Any]]:
        """A row for each target, then the best schedule."""
        every = [*self.predicted, *([self.optimized] if self.optimized is not None else [])]
        return [each.row() for each in every]

    @property
    def answer(self) -> str:
        """What is predicted, in a sentence."""
        law = self.chosen.fit.law
        if not self.predicted:
            return f"the {law.name} describes these runs best: {self.chosen.reason}"
        row = self.predicted[-1].row() if self.optimized is None else self.optimized.row()
        said = f"{row['name']}: a final loss of {row['loss']:.4g} ({row['low']:.4g} … {row['high']:.4g})"
        if self.optimized is not None:
            first = self.predicted[0]
            said += f", against {first.band.loss[-1]:.4g} of {first.target.name}"
        return f"{said}, by the {law.name}"

    def text(self) -> str:
        """The fit and the predictions, for a terminal."""
        fit = self.chosen.fit
        lines = [f"{fit.law.name} ({fit.law.source}), as {self.chosen.reason}"]
        lines += [
            f"  {name}: {'not testable' if error is None else f'off by {error:.2%} on runs left out'}"
            for name, error in self.chosen.errors().items()
        ]
        lines.append("  " + ", ".join(f"{name} {number(value)}" for name, value in fit.parameters.items()))
        for row in self.rows():
            line = f"{row['name']}: {row['steps']} updates, final loss {row['loss']:.5g}"
            line += f" (90%: {row['low']:.5g} … {row['high']:.5g})"
            if "r2" in row:
                line += f"; measured {row['measured_loss']:.5g}, R² {row['r2']:.5f}, mean error {row['mae']:.3g}"
            lines.append(line)
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        """Everything, as `lrtool theory predict --json` prints it."""
        return {
            "law": self.chosen.fit.law.name,
            "source": self.chosen.fit.law.source,
            "why": self.chosen.reason,
            "parameters": self.chosen.fit.parameters,
            "leave_one_out": self.chosen.errors(),
            "runs": [each.name for each in self.curves],
            "predictions": [_curve(each) for each in self.predicted],
            "optimized": None if self.optimized is None else _curve(self.optimized),
            "notes": list(self.notes),
        }

    def plot(self) -> Figure:
        """Measured and predicted losses, and the LRs behind them."""
        from lrtool.report.theory.prediction_plot import draw_prediction

        return draw_prediction(self)

    def write(self, output: Path) -> tuple[Path, list[str]]:
        """Write curves, plots and the best schedule into a new folder; gives it, and how to train with the schedule."""
        folder = TheoryFolder(output, "predict")
        every = [*self.predicted, *([self.optimized] if self.optimized is not None else [])]
        folder.table(
            "prediction.csv",
            ("name", "step", "loss", "low", "high"),
            (row for each in every for row in each.band_rows()),
        )
        folder.plot(self.plot(), "prediction")
        commands: list[str] = []
        if self.optimized is not None:
            goal = self.optimized.target
            note = f"the schedule with the lowest loss that the {self.chosen.fit.law.name} predicts"
            commands = folder.schedule(goal.rates, self.predicted[0].target.peak, goal.config, note)
        folder.finish(self.document())
        return folder.path, commands


def _curve(each: Predicted) -> dict[str, Any]:
    band = each.band
    curve = {"step": band.steps, "loss": band.loss, "low": band.low, "high": band.high}
    return each.row() | {"curve": {name: values.tolist() for name, values in curve.items()}}


def _best(chosen: ChosenLaw, goal: Target) -> Target:
    """The best schedule of a target's length, warm-up and peak."""
    found = best_rates(chosen.fit, len(goal.rates), goal.warmup, goal.peak, [goal.rates])
    return Target("best schedule", found, goal.warmup, None, goal.config)


def _of_runs(curves: Sequence[LossCurve]) -> list[str]:
    """What was assumed of the runs."""
    late = [each.name for each in curves if each.steps[0] > 1 and 0 < each.warmup <= each.steps[0]]
    if not late:
        return []
    return [f"before their first loss, LRs of {', '.join(late)} are taken to have risen in a straight line"]


def _beyond(chosen: ChosenLaw, each: Predicted) -> list[str]:
    """Where a target lies outside what was fitted."""
    name, fit, found = each.target.name, chosen.fit, []
    if each.band.beyond > 1.01:
        found.append(f"{name} uses {number(each.band.beyond)} times the LR of the longest run: its band is widened")
    if each.target.peak > _OTHER_RATE * fit.rates[1]:
        found.append(
            f"the peak of {name}, {number(each.target.peak)}, is above any of the runs ({number(fit.rates[1])}):"
            " no law knows where training becomes unstable"
        )
    return found
