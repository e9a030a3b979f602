"""What a sweep costs besides training: 10,000 trials planned, recorded, read back and written as a table.

Prints microseconds per trial, for 1,000 and 10,000 trials: bookkeeping that grows linearly keeps them alike.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lrtool.config.sweep.load import load_sweep
from lrtool.engine.trials import Evaluation, Trace, Trial
from lrtool.experiments.sweep.grouping import group_trials
from lrtool.experiments.sweep.outcome import stored
from lrtool.report.terminal.board import SweepBoard
from lrtool.runs.folder import RunFolder
from lrtool.runs.sweep.store import SweepStore, read_trials
from lrtool.runs.sweep.trials_csv import write_trials
from lrtool.status import Status

BASE = Path(__file__).parents[2] / "configs" / "digits-mlp.yaml"
STEPS = 2000
LIMIT = 2000.0  # microseconds per trial


def measure(lrs: int, folder: Path) -> dict[str, float]:
    """Microseconds per trial of each part, for 5 × lrs trials."""
    path = folder / "sweep.yaml"
    path.write_text(f"base: {BASE}\ngrid: {{optimizer.lr: {{log: [1e-4, 1], points: {lrs}}}, seed: 5}}\n")
    taken: dict[str, float] = {}

    def timed(name: str, work: Callable[[], object]) -> object:
        began = time.perf_counter()
        result = work()
        taken[name] = time.perf_counter() - began
        return result

    planned = load_sweep(path).trials()
    timed("plan", lambda: load_sweep(path).trials())
    timed("group", lambda: group_trials(planned))
    losses = np.random.default_rng(0).random(STEPS)
    evaluations = [Evaluation(step, {"val_loss": 0.5, "val_accuracy": 0.9}) for step in range(100, STEPS + 1, 100)]
    trace = Trace(Trial(0, STEPS, {}), Status.FINISHED, losses, losses, losses, evaluations=evaluations)
    board = SweepBoard("")
    run = RunFolder.create(folder, f"sweep-{lrs}", "sweep")
    with SweepStore(run.path) as store:

        def record() -> None:
            for each in planned:
                trial = stored(each, trace)
                store.record(trial)
                board.ended(trial)

        timed("record", record)
    timed("read", lambda: read_trials(run.path))
    timed("rank", board.leaders.ranked)
    trials = read_trials(run.path)
    timed("table", lambda: write_trials(run, trials))
    timed("resume", lambda: SweepStore(run.path).close())
    return {name: seconds / len(planned) * 1e6 for name, seconds in taken.items()}


def main() -> None:
    """Print both sizes side by side."""
    with tempfile.TemporaryDirectory() as folder:
        small, large = measure(200, Path(folder)), measure(2000, Path(folder))
    print("microseconds per trial     1,000 trials   10,000 trials")
    for name in small:
        print(f"  {name:22} {small[name]:>14.0f} {large[name]:>15.0f}")
    print(f"  {'all':22} {sum(small.values()):>14.0f} {sum(large.values()):>15.0f}   (at most {LIMIT:.0f})")
    if sum(large.values()) > LIMIT:
        raise SystemExit("bookkeeping costs too much")


if __name__ == "__main__":
    main()
