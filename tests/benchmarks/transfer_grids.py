"""The LR of a larger run from small ones, on tasks of lrtool's own, against three rules that people use.

Each task is transferred over a duration 8 times, a batch 16 times and (where the model has one) a width 16 times as
large as the config's, by `transfer` with its budget in target runs. The truth is a grid of real trainings of the
target, several seeds each; the excess is the mean loss at an LR (on a straight line in log LR between those tried)
over the least one. Rules start from the best LR of the config as it is, measured by the same grid: the same LR, one
in proportion to √batch, one in proportion to the batch. A refusal is counted, not judged. Half of the tasks are those
that constants may be chosen on; the other half judges. Without `--budget` these tasks, which train in seconds, get
the command's 20 seconds, which is more than a quarter of a target run: the column `cost` says how much, in its
updates.

Wanted on the judging half: median excess at most 3%, worst at most 20%.

    python tests/benchmarks/transfer_grids.py [--quick] [--budget 0.25] [--only NAME]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lrtool
from lrtool.engine.trials import EngineName
from lrtool.experiments.engines import Engines
from lrtool.experiments.final import final_loss
from lrtool.experiments.setup import Setup, prepare

Array = NDArray[np.float64]

MEDIAN, WORST = 0.03, 0.2
_SGD, _ADAM = {"kind": "sgd", "lr": 0.1, "momentum": 0.9}, {"kind": "adamw", "lr": 0.003}
_COSINE = {"kind": "cosine", "warmup": "5%"}
_OWN = """\
from torch import nn


def net(width, inputs, outputs):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs)
    )
"""


def _task(data: Mapping[str, Any], inputs: int, outputs: int, optimizer: Mapping[str, Any], duration: int,
          schedule: Mapping[str, Any] = _COSINE) -> dict[str, Any]:  # fmt: skip
    model = {"use": "net.py:net", "args": {"width": 16, "inputs": inputs, "outputs": outputs}}
    return {"model": model, "data": dict(data), "optimizer": dict(optimizer), "schedule": dict(schedule),
            "train": {"duration": duration, "eval_every": 0}}  # fmt: skip


_DIGITS = {"kind": "digits", "batch_size": 16, "val_fraction": 0.3}
_SPIRALS = {"kind": "spirals", "samples": 2000, "batch_size": 16, "val_fraction": 0.3}
_REGRESSION = {"kind": "regression", "samples": 2000, "batch_size": 16, "val_fraction": 0.3}
#: The first half may be used to choose constants, the second half judges.
TASKS: dict[str, dict[str, Any]] = {
    "digits-sgd": _task(_DIGITS, 64, 10, _SGD, 200),
    "digits-adam-linear": _task(_DIGITS, 64, 10, _ADAM, 200, {"kind": "linear"}),
    "spirals-sgd": _task(_SPIRALS, 2, 2, _SGD, 300),
    "regression-adam": _task(_REGRESSION, 8, 1, _ADAM, 200),
    "digits-adam": _task(_DIGITS, 64, 10, _ADAM, 200),
    "digits-sgd-constant": _task(_DIGITS, 64, 10, _SGD, 200, {"kind": "constant"}),
    "spirals-adam": _task(_SPIRALS, 2, 2, _ADAM, 300),
    "regression-sgd": _task(_REGRESSION, 8, 1, {"kind": "sgd", "lr": 0.01}, 200),
}
TARGETS: dict[str, tuple[str, float]] = {
    "duration x8": ("train.duration", 8), "batch x16": ("data.batch_size", 16), "width x16": ("model.args.width", 16),
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One transfer: the excess of its LR (None: refused) and those of the rules, and whether its interval held."""

    task: str
    target: str
    excess: float | None
    rules: Mapping[str, float]
    held: bool | None
    cost: float
    reason: str


def main() -> int:
    """Print a row for each transfer; 1 where what is wanted is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two tasks of the judging half, two seeds")
    parser.add_argument("--budget", type=float, help="in target runs; unsaid: as the command has it")
    parser.add_argument("--only", choices=TASKS)
    wanted = parser.parse_args()
    names = [wanted.only] if wanted.only else list(TASKS)[4:6] if wanted.quick else list(TASKS)
    rows: list[Row] = []
    print(f"{'task':20} {'target':12} {'excess':>8} {'same':>8} {'sqrt':>8} {'linear':>8}  held   cost")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "net.py").write_text(_OWN)
        for name in names:
            for target in TARGETS:
                rows.append(transferred(Path(folder), name, target, 2 if wanted.quick else 3, wanted.budget))
                print(said(rows[-1]), flush=True)
    judging = [row for row in rows if row.task in list(TASKS)[4:]] or rows
    excess = np.array([row.excess for row in judging if row.excess is not None])
    print(f"judged: {len(judging)} transfers, {len(judging) - len(excess)} refused", end="")
    if not len(excess):
        print()
        return 1
    print(f"; excess: median {np.median(excess):.1%}, worst {excess.max():.1%}")
    for rule in ("same", "sqrt", "linear"):
        values = np.array([row.rules[rule] for row in judging])
        print(f"  {rule:8} median {np.median(values):.1%}, worst {values.max():.1%}")
    return 0 if np.median(excess) <= MEDIAN and excess.max() <= WORST else 1


def transferred(folder: Path, name: str, target: str, seeds: int, budget: float | None) -> Row:
    config, (key, times) = folder / f"{name}.yaml", TARGETS[target]
    from lrtool.config.document import write_yaml

    config.write_text(write_yaml({"name": name, **TASKS[name]}))
    value = round(_at(TASKS[name], key) * times)
    found = lrtool.transfer(config, to={key: value}, budget=budget, progress=False)
    small, large = prepare(_config(config, ())), prepare(_config(config, [f"{key}={value}"]))
    centre = found.suggested_lr or float(TASKS[name]["optimizer"]["lr"])
    lrs, losses = truth(large, centre, seeds)
    start, before = truth(small, float(TASKS[name]["optimizer"]["lr"]), seeds)
    own = float(start[np.nanargmin(before)])
    batch = times if key == "data.batch_size" else 1.0
    rules = {"same": own, "sqrt": own * batch**0.5, "linear": own * batch}
    ends, best = found.interval, float(lrs[np.nanargmin(losses)])
    held = None if ends is None or ends[1] is None else ends[0] / 1.42 <= best <= ends[1] * 1.42
    lr = found.suggested_lr
    return Row(name, target, None if lr is None else above(lr, lrs, losses),
               {rule: above(each, lrs, losses) for rule, each in rules.items()}, held,
               float(found.summary["cost"]["target_runs"]), found.reason)  # fmt: skip


def _at(task: Mapping[str, Any], key: str) -> float:
    found: Any = task
    for part in key.split("."):
        found = found[part]
    return float(found)


def _config(path: Path, more: Sequence[str]) -> Any:
    from lrtool.config.load import load_config

    return load_config(path, list(more))


def truth(setup: Setup, centre: float, seeds: int) -> tuple[Array, Array]:
    """Mean losses over LRs a factor of 2 apart, far to either side; NaN where one diverged."""
    lrs = centre * 2.0 ** np.arange(-7, 8)
    planned = [(lr, seed) for lr in lrs for seed in range(100, 100 + seeds)]
    trials = [setup.trial(seed, float(lr)) for lr, seed in planned]
    traces = Engines(EngineName.AUTO).run(setup.task, trials, setup.recipe)
    losses = np.array([final_loss(trace) for trace in traces]).reshape(len(lrs), seeds)
    return lrs, losses.mean(axis=1)


def above(lr: float, lrs: Array, losses: Array) -> float:
    """The part by which the loss at an LR is above the least one; a diverged neighbour counts as four times that."""
    least = float(np.nanmin(losses))
    filled = np.minimum(np.where(np.isfinite(losses), losses, np.inf), 4 * least)
    return float(np.interp(np.log(lr), np.log(lrs), filled)) / least - 1


def said(row: Row) -> str:
    excess = "refused" if row.excess is None else f"{row.excess:.1%}"
    rules = " ".join(f"{row.rules[rule]:8.1%}" for rule in ("same", "sqrt", "linear"))
    held = {None: "-", True: "yes", False: "no"}[row.held]
    line = f"{row.task:20} {row.target:12} {excess:>8} {rules}  {held:5} {row.cost:5.2f}"
    return line + (f"  {row.reason[:90]}" if row.excess is None else "")


if __name__ == "__main__":
    sys.exit(main())
