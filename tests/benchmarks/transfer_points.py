"""The LR of runs that were left out, predicted from points: language models over LR, batch size, size and tokens.

From `../shared/data/llm_runs/lr_batch_grid.csv` one pair (parameters, tokens) is left out at a time, the largest
included. `transfer --points` on the rest predicts the best LR at every batch size of it. The excess is the measured
loss at the predicted LR (on a straight line in log LR between the LRs tried; beyond them at the last one) over the
least one measured: of a single seed each, so that a lucky run's share stands in it. Beside it: a plain power law
through the LRs of least loss; and `own`, the excess at the LR that a cell's own losses name, read with the shape that
all cells have in common, which no law of smooth losses can be expected to better. The last line has the excess over
that smooth reading of the left-out cell: what is lost but for the noise of single runs.

Wanted: median excess at most 0.08%, worst at most 0.4%, and intervals that hold the LR of least loss, to within the
spacing of the LRs tried, in at least 90%.

    python tests/benchmarks/transfer_points.py [--points FILE] [--group parameters,tokens]
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.search.transfer.extrapolate import extrapolate
from lrtool.analysis.search.transfer.optima import Optima, find_optima
from lrtool.analysis.search.transfer.points import Cell, Points
from lrtool.experiments.transfer.points_file import read_points

Array = NDArray[np.float64]

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "llm_runs" / "lr_batch_grid.csv"
MEDIAN, WORST, HELD = 0.0008, 0.004, 0.9


@dataclass(frozen=True)
class Prediction:
    """One prediction: its excess, those of the plain law and of the cell's own reading, whether the interval holds."""

    excess: float
    plain: float
    own: float
    smooth: float
    held: bool
    factor: float


def main() -> int:
    """Print a row for each group left out; 1 where what is wanted is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=Path, default=SHARED, help="a CSV of points")
    parser.add_argument("--group", default="parameters,tokens", help="the keys that are left out together")
    wanted = parser.parse_args()
    points, group = read_points(wanted.points), wanted.group.split(",")
    columns = [points.keys.index(key) for key in group]
    everything: list[Prediction] = []
    read = Readings.of(points.cells())
    print(
        f"{', '.join(group):>30}  {'cells':>6}  {'median':>7}  {'worst':>7}  {'held':>5}  "
        f"{'plain law':>9}  {'worst':>7}  {'own':>7}  {'worst':>7}"
    )
    for out in np.unique(points.values[:, columns], axis=0):
        here = (points.values[:, columns] == out).all(axis=1)
        found = predicted(part(points, ~here), part(points, here).cells(), read)
        print(f"{', '.join(f'{value:.3g}' for value in out):>30}  {said(found)}", flush=True)
        everything += found
    print(f"{'all':>30}  {said(everything)}")
    excess = np.array([each.excess for each in everything])
    good = np.median(excess) <= MEDIAN and excess.max() <= WORST and np.mean([each.held for each in everything]) >= HELD
    print(f"above {WORST:.1%}: {', '.join(f'{each:.2%}' for each in np.sort(excess)[::-1] if each > WORST) or 'none'}")
    smooth = np.array([each.smooth for each in everything])
    print(f"above the smooth losses: median {np.median(smooth):.4%}, worst {smooth.max():.3%}")
    print(f"intervals reach a factor of {np.median([each.factor for each in everything]):.2f} either way (median)")
    return 0 if good else 1


def part(points: Points, rows: NDArray[np.bool_]) -> Points:
    return Points(points.keys, points.values[rows], points.lr[rows], points.loss[rows])


@dataclass(frozen=True)
class Readings:
    """The log LRs that cells themselves name, and the smooth loss about them, with one shape for all."""

    optima: Optima

    @classmethod
    def of(cls, cells: list[Cell]) -> Readings:
        return cls(find_optima(cells))

    def best(self, cell: Cell) -> float:
        """The log LR that a cell's own losses name."""
        return float(self.optima.x[self._place(cell)])

    def above(self, cell: Cell, x: float) -> float:
        """The part by which the smooth loss at a log LR is above its least."""
        curvature = float(self.optima.shape.curvature(cell.at))
        return float(np.expm1(self.optima.shape.above(np.array(x - self.best(cell)), curvature)))

    def _place(self, cell: Cell) -> int:
        return int(np.flatnonzero((self.optima.at == cell.at).all(axis=1))[0])


def predicted(points: Points, cells: list[Cell], read: Readings) -> list[Prediction]:
    """What the points say of cells that are not among them."""
    known = points.cells()
    matrix = np.array([[1.0, *cell.at] for cell in known])
    plain = np.linalg.lstsq(matrix, np.array([cell.x[cell.best] for cell in known]), rcond=None)[0]
    predictions = []
    for cell in cells:
        found = extrapolate(points, dict(zip(points.keys, np.exp(cell.at), strict=True)))
        if found.lr is None or found.interval is None:
            print(f"refused: {found.reason}")
            continue
        best = cell.best
        below, above = cell.x[max(0, best - 1)], cell.x[min(len(cell.x) - 1, best + 1)]
        low, high = np.log(found.interval)
        lost = excess(cell, float(plain @ np.r_[1.0, cell.at]))
        x, own = float(np.log(found.lr)), excess(cell, read.best(cell))
        held, factor = bool(low <= above and high >= below), float(np.exp((high - low) / 2))
        predictions.append(Prediction(excess(cell, x), lost, own, read.above(cell, x), held, factor))
    return predictions


def excess(cell: Cell, x: float) -> float:
    """The loss at a log LR over the least one of the cell, as a part."""
    known = cell.known
    return float(np.expm1(np.interp(x, cell.x[known], cell.y[known]) - cell.y[cell.best]))


def said(found: list[Prediction]) -> str:
    ours, plain, own = (np.array([getattr(each, name) for each in found]) for name in ("excess", "plain", "own"))
    held = np.mean([each.held for each in found])
    less = "  ".join(f"{np.median(each):9.3%}  {each.max():7.2%}" for each in (plain, own))
    return f"{len(found):6}  {np.median(ours):7.3%}  {ours.max():7.2%}  {held:5.0%}  {less}"


if __name__ == "__main__":
    sys.exit(main())
