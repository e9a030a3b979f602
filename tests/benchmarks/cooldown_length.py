"""Which LR and which cool-down is best in a longer run, from shorter ones: real language models, right or wrong.

From the runs of 15,000 updates in `finals.csv` (three peak LRs, six cool-downs of WSD) those of 25,000 are foretold,
with what a user has:

- *bound*: the best LR at 15,000 (through `transfer`'s reading of the three losses) times the ratio of best LRs that
  `theory bound` has between both lengths; the order of cool-downs by the bound itself. It needs no loss of the target.
- *law*: at each peak LR `theory predict` fits the runs whose curves are whole (cool-downs of 40, 80 and 90%) and
  predicts the final loss at 25,000 of every cool-down. 1e-4, which was not run at 15,000, is not judged by it.
- *same*: what is best at 15,000 is best at 25,000.

Nothing is wanted: the table is reported as it is. `--length` judges longer runs, should the file have them.

    python tests/benchmarks/cooldown_length.py [--data FOLDER] [--length 25000]
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lrtool.analysis.search.transfer.optima import find_optima
from lrtool.analysis.search.transfer.points import Points
from lrtool.errors import UsageError
from lrtool.report.theory.prediction import LawPrediction
from lrtool.schedules.wsd import WSD
from lrtool.theory.bound import LastIterateBound, last_iterate_bound

Array = NDArray[np.float64]

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "llm_runs"
SHORT, WARMUP = 15_000, 300
#: Cool-downs of 15,000 updates whose curves are kept from their start.
WHOLE = (0.4, 0.8, 0.9)


@dataclass(frozen=True)
class Finals:
    """Final losses by cool-down and peak LR, of one length."""

    loss: Mapping[tuple[float, float], float]

    @property
    def cooldowns(self) -> list[float]:
        return sorted({cooldown for cooldown, _ in self.loss})

    @property
    def lrs(self) -> list[float]:
        return sorted({lr for _, lr in self.loss})

    def best(self, cooldown: float, lrs: Sequence[float]) -> float:
        return min(lrs, key=lambda lr: self.loss[cooldown, lr])


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED, help="the folder of finals.csv and curves.csv")
    parser.add_argument("--length", type=int, default=25_000, help="updates of the runs that are foretold")
    wanted = parser.parse_args()
    short, long = (finals(wanted.data / "finals.csv", length) for length in (SHORT, wanted.length))
    law = by_law(wanted.data / "curves.csv", short, long.cooldowns, wanted.length)
    print(f"best of the LRs {', '.join(f'{lr:g}' for lr in long.lrs)} at {wanted.length:,} updates")
    print(
        f"{'cool-down':>9}  {'measured':>8}  {'at 15,000':>9}  {'bound':>14}  {'law':>6}   excess of bound, law, same"
    )
    starts = dict(zip(short.cooldowns, best_lrs(short), strict=True))
    right = {"bound": 0, "law": 0, "same": 0}
    for cooldown in long.cooldowns:
        ratio = bound(cooldown, wanted.length).gamma / bound(cooldown, SHORT).gamma
        foretold = starts[cooldown] * ratio
        said = {
            "bound": nearest(foretold, long.lrs),
            "law": min(short.lrs, key=lambda lr: law.get((cooldown, lr), np.inf)),
            "same": nearest(starts[cooldown], long.lrs),
        }
        true = long.best(cooldown, long.lrs)
        losses = {name: long.loss[cooldown, lr] / long.loss[cooldown, true] - 1 for name, lr in said.items()}
        for name, lr in said.items():
            right[name] += lr == true
        print(f"{cooldown:9.0%}  {true:8g}  {starts[cooldown]:9.2g}  {foretold:7.2g} → {said['bound']:<5g}"
              f"  {said['law']:6g}   {', '.join(f'{each:.2%}' for each in losses.values())}")  # fmt: skip
    print("right: " + ", ".join(f"{name} {count} of {len(long.cooldowns)}" for name, count in right.items()))
    print(f"\norder of cool-downs at {wanted.length:,} updates (best first; Kendall's τ with what was measured)")
    for lr in long.lrs:
        measured = [long.loss[cooldown, lr] for cooldown in long.cooldowns]
        print(f"  LR {lr:g}: measured {order(long.cooldowns, measured)}")
        for name, values in rankings(lr, long.cooldowns, wanted.length, short, law).items():
            tau = float(stats.kendalltau(values, measured).statistic)
            print(f"    {name:22} {order(long.cooldowns, values)}  τ {tau:+.2f}")
    return 0


def finals(file: Path, updates: int) -> Finals:
    """The runs of WSD that go down to 0."""
    with file.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["schedule"] == "wsd" and int(row["updates"]) == updates]
    if not rows:
        sys.exit(f"{file} has no runs of {updates} updates")
    return Finals({(float(row["cooldown"]), float(row["lr"])): float(row["val_loss"]) for row in rows})


def best_lrs(found: Finals) -> list[float]:
    """The best LR of each cool-down, between those tried, with one shape of the loss for all."""
    rows = [(cooldown, lr, loss) for (cooldown, lr), loss in sorted(found.loss.items())]
    values, lrs, losses = (np.array(column) for column in zip(*rows, strict=True))
    return [float(lr) for lr in np.exp(find_optima(Points(("cooldown",), values[:, None], lrs, losses).cells()).x)]


def rates(cooldown: float, updates: int) -> Array:
    """The LR's parts of the peak: warm-up, constant, linear decay."""
    schedule = WSD.model_validate({"kind": "wsd", "warmup": WARMUP, "decay": f"{cooldown * 100:g}%", "shape": "linear"})
    return np.asarray(schedule.bind(lr=1.0, steps=updates)(np.arange(updates)))


def bound(cooldown: float, updates: int) -> LastIterateBound:
    """Of constant gradient norms."""
    return last_iterate_bound(rates(cooldown, updates))


def by_law(curves: Path, short: Finals, cooldowns: Sequence[float], updates: int) -> dict[tuple[float, float], float]:
    """Final losses that `theory predict` says, by cool-down and LR."""
    found: dict[tuple[float, float], float] = {}
    with tempfile.TemporaryDirectory() as place:
        for lr in short.lrs:
            files = [_curve(curves, Path(place), cooldown, lr) for cooldown in WHOLE]
            words = [f"wsd warmup={WARMUP} decay={cooldown * 100:g}% shape=linear" for cooldown in cooldowns]
            try:
                predicted = LawPrediction.of(files, words, steps=str(updates))
            except UsageError as error:
                print(f"LR {lr:g}: the law is refused: {error}")
                continue
            found |= {(cooldown, lr): float(each.band.loss[-1])
                      for cooldown, each in zip(cooldowns, predicted.predicted, strict=True)}  # fmt: skip
            print(f"LR {lr:g}: {predicted.chosen.fit.law.name}", file=sys.stderr)
    return found


def _curve(curves: Path, place: Path, cooldown: float, lr: float) -> Path:
    """A run's curve as `theory predict` reads it: losses after each 200 updates, the LR that its schedule has there."""
    name = f"wsd-{cooldown:g}-0-lr{lr:g}-{SHORT}"
    table = rates(cooldown, SHORT) * lr
    with curves.open(newline="") as stream:
        rows = {int(row["step"]): float(row["val_loss"]) for row in csv.DictReader(stream) if row["run"] == name}
    file = place / f"{name}.csv"
    lines = [f"{step},{float(table[step])!r},{rows[step]!r}" for step in sorted(rows) if step < SHORT]
    file.write_text("\n".join(["step,lr,loss", *lines, ""]))
    return file


def rankings(lr: float, cooldowns: Sequence[float], updates: int, short: Finals,
             law: Mapping[tuple[float, float], float]) -> dict[str, list[float]]:  # fmt: skip
    """What each way says of cool-downs at an LR; smaller is better.

    The bound at a given peak needs D/G: that with which its best LR at 15,000 is the measured one, in the middle.
    """
    scale = float(np.median([start / bound(c, SHORT).gamma for c, start in zip(short.cooldowns, best_lrs(short),
                                                                               strict=True)]))  # fmt: skip
    found = {"bound": [bound(cooldown, updates).at(lr / scale) for cooldown in cooldowns]}
    if all((cooldown, lr) in law for cooldown in cooldowns):
        found["law"] = [law[cooldown, lr] for cooldown in cooldowns]
    if all((cooldown, lr) in short.loss for cooldown in cooldowns):
        found["as at 15,000"] = [short.loss[cooldown, lr] for cooldown in cooldowns]
    return found


def nearest(lr: float, lrs: Sequence[float]) -> float:
    """The one of these LRs that is nearest in its logarithm."""
    return min(lrs, key=lambda each: abs(np.log(each / lr)))


def order(cooldowns: Sequence[float], values: Sequence[float]) -> str:
    return " ".join(f"{100 * cooldowns[place]:.0f}%" for place in np.argsort(values))


if __name__ == "__main__":
    sys.exit(main())
