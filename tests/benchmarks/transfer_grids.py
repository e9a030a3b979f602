"""The LR of a larger run from small ones, on tasks of lrtool's own, against three rules that people use.

Each task is transferred over a duration 8 times, a batch 16 times and (where the model has one) a width 16 times as
large as the config's. The truth are grids of real trainings, several seeds each, kept in `truth/transfer`; what a
transfer would train is looked up there (`--live`: trained), so that every budget can be judged. The excess is the mean
loss at an LR (on a straight line in log LR between those tried) over the least one. The noise floor is the excess if
one seed of the target's own grid chooses and the others judge. Rules start from the best LR of the config as it is, by
a grid of 39 trainings that they are given for nothing: the same LR, one in proportion to √batch, one in proportion to
the batch. A refusal is counted, not judged; beside it stand the excess of the best guess that it offers, and the budget
from which it expects an answer (`tune`: none that is less than tuning the target itself). Methods and constants were
chosen on half of the tasks; the other half judges.

Wanted on the judging half: median excess at most 3%, worst at most 20% or the noise floor. A quarter of a target run
holds no comparison on most targets of 400 updates, so larger budgets are judged too; the column `cost` is in target
runs' training.

    python tests/benchmarks/transfer_grids.py [--budget 0.25 1 2 4] [--only NAME] [--developed] [--live]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from support.transfer_replay import Replayed, replay
from support.transfer_tasks import DEVELOPED, JUDGED, TASKS, config, targets
from support.transfer_truth import Grid, Truth, base, settings, target, truth

import lrtool
from lrtool.errors import UsageError

Array = NDArray[np.float64]

MEDIAN, WORST = 0.03, 0.2
RULES = {"same": 0.0, "sqrt": 0.5, "linear": 1.0}
#: A diverged neighbour counts as so many times the least loss.
_BAD = 4.0


@dataclass(frozen=True)
class Row:
    """One transfer: the excess of its LR (None: refused), those of rules, and whether its interval held the best.

    `guess`, `enough`: where it is refused, the excess of the best guess, and the budget that it names.
    """

    excess: float | None
    rules: tuple[float, ...]
    floor: float
    held: bool | None
    cost: float
    guess: float | None = None
    enough: float | None = None


def main() -> int:
    """Print a row for each transfer; 1 where what is wanted is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, nargs="+", default=[0.25, 1.0, 2.0, 4.0], help="in target runs")
    parser.add_argument("--only", choices=TASKS)
    parser.add_argument("--developed", action="store_true", help="the half that constants were chosen on")
    parser.add_argument("--live", action="store_true", help="train what is looked up otherwise")
    parser.add_argument("--kept", action="store_true", help="leave out what has not been measured")
    wanted = parser.parse_args()
    names = [wanted.only] if wanted.only else list(DEVELOPED if wanted.developed else JUDGED)
    known = {name: truth(name, measure=not wanted.kept) for name in names}
    good = True
    for budget in wanted.budget:
        print(f"\nbudget {budget:g} target runs\n{'task':22} {'target':12} {'excess':>8} {'floor':>7} "
              f"{' '.join(f'{rule:>7}' for rule in RULES)}  held   cost   guess  enough")  # fmt: skip
        rows = []
        for name in names:
            for label, (key, times) in targets(name).items():
                if target(name, key) in known[name].cells:
                    rows.append(judged(known[name], key, times, budget, wanted.live))
                    print(said(name, label, rows[-1]), flush=True)
        good &= summed(rows)
    return 0 if good else 1


def judged(known: Truth, key: str, times: int, budget: float, live: bool) -> Row:
    """One transfer and what rules have in its place."""
    name = known.name
    grid = known.cells[target(name, key)]
    found = trained(name, key, budget) if live else replay(known, key, budget)
    start = known.cells[base(name)]
    own, batch = float(start.lrs[int(np.nanargmin(start.mean))]), times if "batch" in key else 1
    rules = tuple(above(own * batch**power, grid) for power in RULES.values())
    lr = None if found.found is None else found.found.lr
    if found.found is None or lr is None or found.found.interval is None:
        guess = found.found and found.found.guess
        return Row(None, rules, floor(grid), None, found.cost, guess and above(guess.lr, grid), found.enough)
    low, high = found.found.interval
    alike = grid.lrs[np.nan_to_num(grid.mean, nan=np.inf) <= np.nanmin(grid.mean) * (1 + floor(grid))]
    return Row(above(lr, grid), rules, floor(grid), bool(((alike >= low) & (alike <= high)).any()), found.cost)


def trained(name: str, key: str, budget: float) -> Replayed:
    """The same by `lrtool.transfer` itself."""
    whole = settings(target(name, key))
    with tempfile.TemporaryDirectory() as place, contextlib.redirect_stderr(io.StringIO()):
        try:
            result = lrtool.transfer(config(name, {}), to={key: int(whole[key])}, budget=budget, progress=False,
                                     output=Path(place))  # fmt: skip
        except UsageError as error:
            if error.where not in ("--budget", "--to"):  # what is too small for any comparison
                raise
            return Replayed(None, 0.0)
        return Replayed(result.found, float(result.summary["cost"]["target_runs"]), result.found.enough)


def above(lr: float, grid: Grid) -> float:
    """The part by which the mean loss at an LR is above the least one."""
    least = float(np.nanmin(grid.mean))
    filled = np.minimum(np.nan_to_num(grid.mean, nan=np.inf), _BAD * least)
    return float(np.interp(np.log(lr), np.log(grid.lrs), filled)) / least - 1


def floor(grid: Grid) -> float:
    """The mean excess if one seed chooses and the others judge."""
    losses = np.nan_to_num(grid.losses, nan=np.inf)
    found = []
    for seed in range(losses.shape[1]):
        others = np.delete(losses, seed, axis=1).mean(axis=1)
        found.append(others[int(np.argmin(losses[:, seed]))] / others.min() - 1)
    return float(min(np.mean(found), _BAD - 1))


def said(name: str, label: str, row: Row) -> str:
    excess = "refused" if row.excess is None else f"{row.excess:.1%}"
    held = {None: "-", True: "yes", False: "no"}[row.held]
    rules = " ".join(f"{each:7.1%}" for each in row.rules)
    guess = "-" if row.guess is None else f"{row.guess:.1%}"
    enough = "-" if row.enough is None else "tune" if np.isinf(row.enough) else f"{row.enough:.2g}"
    return f"{name:22} {label:12} {excess:>8} {row.floor:7.1%} {rules}  {held:5} {row.cost:5.2f} {guess:>7} {enough:>7}"


def summed(rows: Sequence[Row]) -> bool:
    """Print medians and worst of all and whether they are as wanted."""
    answered = [row for row in rows if row.excess is not None]
    guesses = [row.guess for row in rows if row.guess is not None]
    print(f"{len(rows)} transfers, {len(rows) - len(answered)} refused", end="")
    if guesses:
        wrong = sum(row.guess > max(WORST, row.floor) for row in rows if row.guess is not None)
        print(f" ({len(guesses)} with a guess: median {np.median(guesses):.1%}, worst {max(guesses):.1%}, {wrong} above"
              f" {WORST:.0%} and the noise floor)", end="")  # fmt: skip
    if not answered:
        print()
        return True
    excess = np.array([row.excess for row in answered])
    misses = sum(row.excess > max(WORST, row.floor) for row in answered if row.excess is not None)
    held = np.mean([bool(row.held) for row in answered])
    print(f"; excess: median {np.median(excess):.1%}, worst {excess.max():.1%}, {misses} above {WORST:.0%} and the"
          f" noise floor; intervals hold {held:.0%}")  # fmt: skip
    for which, chosen in (("all", rows), ("the answered", answered)):
        values = np.array([row.rules for row in chosen])
        print(f"  rules on {which}: " + ", ".join(
            f"{rule} median {np.median(column):.1%} worst {column.max():.0%}"
            for rule, column in zip(RULES, values.T, strict=True)))  # fmt: skip
    return bool(np.median(excess) <= MEDIAN and not misses)


if __name__ == "__main__":
    sys.exit(main())
