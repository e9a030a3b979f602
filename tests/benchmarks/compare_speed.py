"""How long `lrtool compare` takes on large sweeps: the whole command, start-up included.

10,000 trials as 2,000 settings × 5 seeds and as 10,000 distinct settings, then fewer, to show that time grows
linearly. The yardstick, in the same run, is `lrtool compare` on 10 trials: start-up and nothing else.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from lrtool.config.sweep.load import load_sweep
from lrtool.engine.trials import Evaluation, Trace, Trial
from lrtool.experiments.sweep.outcome import stored
from lrtool.runs.folder import RunFolder
from lrtool.runs.sweep.store import SweepStore
from lrtool.status import Status

BASE = Path(__file__).parents[2] / "configs" / "digits-mlp.yaml"
STEPS = 2000
LIMIT = 5.0
#: LRs and seeds.
SIZES = ((10, 1), (1000, 1), (3000, 1), (10_000, 1), (2000, 5))


def recorded(lrs: int, seeds: int, folder: Path) -> Path:
    """The run folder of a sweep whose trials have made-up losses."""
    path = folder / "sweep.yaml"
    path.write_text(f"base: {BASE}\ngrid: {{optimizer.lr: {{log: [1e-4, 1], points: {lrs}}}, seed: {seeds}}}\n")
    sweep = load_sweep(path)
    run = RunFolder.create(folder, f"{lrs}-{seeds}", "sweep")
    run.write_text("config.yaml", sweep.config.to_yaml())
    rng = np.random.default_rng(0)
    with SweepStore(run.path) as store:
        for planned in sweep.trials():
            losses = rng.random(STEPS)
            values = [Evaluation(step, {"val_loss": float(rng.random())}) for step in range(100, STEPS + 1, 100)]
            trace = Trace(Trial(0, STEPS, {}), Status.FINISHED, losses, losses, losses, evaluations=values)
            store.record(stored(planned, trace))
    return run.path


def seconds(run: Path) -> float:
    """Of one call: the best of three."""
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "lrtool", "compare", str(run)], check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - began)
    return min(taken)


def main() -> int:
    """Print the table; 1 where 10,000 trials take too long."""
    print("trials  settings  seconds  per start-up")
    slowest, startup = 0.0, None
    with tempfile.TemporaryDirectory() as folder:
        for lrs, seeds in SIZES:
            taken = seconds(recorded(lrs, seeds, Path(folder)))
            startup = startup or taken
            slowest = max(slowest, taken)
            print(f"{lrs * seeds:6} {lrs:9} {taken:8.2f} {taken / startup:13.1f}", flush=True)
    print(f"{'PASS' if slowest < LIMIT else 'FAIL'}: {slowest:.2f} s at most (under {LIMIT:.0f} s)")
    return 0 if slowest < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
