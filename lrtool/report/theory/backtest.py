"""How well laws predict runs that they have not seen: rows, words, plots, files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrtool.errors import UsageError
from lrtool.report.theory.curves import loss_curve
from lrtool.report.theory.prediction import CurveErrors
from lrtool.report.theory.written import TheoryFolder
from lrtool.theory.laws import LAWS
from lrtool.theory.laws.band import banded
from lrtool.theory.laws.choice import ChosenLaw, check_identified, choose_law
from lrtool.theory.laws.fit import Fit, fit_law, left_out
from lrtool.theory.loss_curve import LossCurve

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Tested:
    """A run that a law was not fitted to, and how the law predicts it; `held`: whether its 90% band holds the end."""

    law: str
    curve: LossCurve
    fit: Fit
    accuracy: CurveErrors
    held: bool | None = None

    def row(self) -> dict[str, Any]:
        """The numbers."""
        found = {"law": self.law, "run": self.curve.name, **self.accuracy.row()}
        return found if self.held is None else found | {"in_band": self.held}


@dataclass(frozen=True)
class Backtest:
    """Runs left out one by one, or test runs, as the laws predict them; `law`: the one with the smallest errors."""

    law: str
    tested: tuple[Tested, ...]
    fitted: tuple[LossCurve, ...]
    skipped: tuple[str, ...]
    by_test: bool

    @classmethod
    def of(
        cls,
        runs: Sequence[str | Path],
        tests: Sequence[str | Path] = (),
        metric: str | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> Backtest:
        """Leave each run out, fit the others and predict it; with `tests`, fit the runs and predict those.

        Raises UsageError where runs cannot be read, or cannot identify a law.
        """
        curves = tuple(loss_curve(each, metric) for each in runs)
        if tests:
            held = [loss_curve(each, metric) for each in tests]
            chosen = choose_law(curves, progress)
            found = tuple(_tested(chosen, each) for each in held)
            return cls(chosen.fit.law.name, found, curves, (), by_test=True)
        check_identified(curves)
        found = tuple(_left_out(curves, progress))
        if not found:
            raise UsageError(
                "no run can be predicted from the others: leaving it out leaves none whose LR falls",
                remedy="add a second run whose LR falls",
            )
        skipped = {each.name for each in curves} - {each.curve.name for each in found}
        errors = {law.name: _mean([each for each in found if each.law == law.name], "mae") for law in LAWS}
        return cls(min(errors, key=lambda name: errors[name]), found, curves, tuple(sorted(skipped)), by_test=False)

    def best(self) -> list[Tested]:
        """What the better law predicts."""
        return [each for each in self.tested if each.law == self.law]

    def rows(self) -> list[dict[str, Any]]:
        """A row for each run and law."""
        return [each.row() for each in self.tested]

    def means(self) -> dict[str, dict[str, float]]:
        """Mean R² and absolute error of each law over the runs."""
        laws = dict.fromkeys(each.law for each in self.tested)
        return {
            law: {key: _mean([each for each in self.tested if each.law == law], key) for key in ("r2", "mae")}
            for law in laws
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be tested."""
        return tuple(f"{name} is the only run whose LR falls: it cannot be left out" for name in self.skipped)

    @property
    def answer(self) -> str:
        """What came out, in a sentence."""
        mean, count = self.means()[self.law], len(self.best())
        how = "test runs" if self.by_test else "runs left out one by one"
        return f"{self.law}: mean R² {mean['r2']:.4f}, mean absolute error {mean['mae']:.4g} over {count} {how}"

    def text(self) -> str:
        """A table for a terminal."""
        cells = [("law", "run", "R²", "mean error", "worst, relative", "final, measured", "error there")]
        for each in self.tested:
            a = each.accuracy
            cells.append(
                (each.law, each.curve.name, f"{a.r2:.5f}", f"{a.mae:.4g}", f"{a.worst:.2%}", f"{a.measured:.4g}",
                 f"{a.final:+.4g}")
            )  # fmt: skip
        widths = [max(len(row[place]) for row in cells) for place in range(len(cells[0]))]
        return "\n".join(
            "  ".join(
                f"{cell:{sign}{width}}" for cell, sign, width in zip(row, "<<>>>>>", widths, strict=True)
            ).rstrip()
            for row in cells
        )

    def document(self) -> dict[str, Any]:
        """Everything, as `lrtool theory backtest --json` prints it."""
        return {
            "law": self.law,
            "how": "test" if self.by_test else "leave-one-out",
            "means": self.means(),
            "runs": self.rows(),
            "notes": list(self.notes),
        }

    def plot(self) -> Figure:
        """Measured losses and what the better law predicts of them."""
        from lrtool.report.theory.backtest_plot import draw_backtest

        return draw_backtest(self)

    def write(self, output: Path) -> Path:
        """Write the table and the plot into a new folder; gives it."""
        folder = TheoryFolder(output, "backtest")
        rows = self.rows()
        folder.table("backtest.csv", tuple(rows[0]), ([row.get(key) for key in rows[0]] for row in rows))
        folder.plot(self.plot(), "backtest")
        folder.finish(self.document())
        return folder.path


def _tested(chosen: ChosenLaw, curve: LossCurve) -> Tested:
    band = banded(chosen, curve.rates, curve.warmup, curve.steps[-1:])
    accuracy = CurveErrors.of(chosen.fit, curve)
    held = bool(band.low[-1] <= accuracy.measured <= band.high[-1])
    return Tested(chosen.fit.law.name, curve, chosen.fit, accuracy, held)


def _left_out(curves: Sequence[LossCurve], progress: Callable[[str], None]) -> list[Tested]:
    found = []
    for law in LAWS:
        progress(f"leaving runs out of the {law.name}")
        begin = fit_law(law, curves).logs
        found += [Tested(law.name, held, fit, CurveErrors.of(fit, held)) for held, fit in left_out(law, curves, begin)]
    return found


def _mean(tested: Sequence[Tested], key: str) -> float:
    return float(np.mean([getattr(each.accuracy, key) for each in tested]))
