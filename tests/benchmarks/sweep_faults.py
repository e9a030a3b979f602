"""Kills a sweep with kill -9 at 30 random moments; what is resumed must equal the undisturbed sweep, trial by trial.

Stacked trials and trials that train one by one, one of which always fails; resumed in this process or in several.
Usage: sweep_faults.py [KILLS [SEED]]
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from lrtool.errors import UsageError
from lrtool.runs.store import StoredTrial, read_trials

BASE = Path(__file__).parents[2] / "configs" / "digits-mlp.yaml"
SWEEP = f"""\
base: {{extends: {BASE}, name: faults, device: cpu, train: {{duration: 120, eval_every: 40}}}}
variants:
  stacked: {{}}
  deep: {{model.hidden: [64, 64, 64]}}
  one-by-one: {{plateau: {{metric: val_loss, patience: 1}}}}
  impossible: {{data.batch_size: 5000}}
grid:
  schedule: [cosine, constant]
  optimizer.lr: {{log: [0.01, 1], points: 4}}
  seed: 3
"""


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A sweep in a process of its own."""
    command = [sys.executable, "-m", "lrtool", "sweep", *arguments, "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def finished(folder: Path, *arguments: str) -> float:
    """Let a sweep finish; the seconds it took."""
    began = time.perf_counter()
    code = start(folder, *arguments).wait()
    assert code == 0, f"lrtool sweep {' '.join(arguments)} ended with {code}"
    return time.perf_counter() - began


def known(run: Path) -> int:
    """How many trials are recorded."""
    try:
        return len(read_trials(run))
    except UsageError:
        return 0


def equal(one: list[StoredTrial], other: list[StoredTrial]) -> None:
    """Trial by trial, everything but the time taken; bit by bit."""
    for a, b in zip(one, other, strict=True):
        np.testing.assert_equal({**vars(a), "seconds": 0}, {**vars(b), "seconds": 0})


class Faults:
    """Kills one sweep after the other until it has killed enough."""

    def __init__(self, folder: Path, kills: int, seed: int) -> None:
        self.folder, self.left, self.draw = folder, kills, random.Random(seed)
        self.sweeps = self.midway = 0

    def run(self) -> None:
        """Undisturbed first, then with kills."""
        (self.folder / "s.yaml").write_text(SWEEP)
        duration = finished(self.folder, "s.yaml", "--output", "whole")
        whole = read_trials((self.folder / "whole/faults/latest").resolve())
        print(f"undisturbed: {len(whole)} trials in {duration:.1f} s", flush=True)
        while self.left:
            run = self.disturbed(f"cut-{self.sweeps}", duration)
            equal(read_trials(run), whole)
            self.sweeps += 1
        print(f"{self.midway} of the kills came while trials were recorded; {self.sweeps} sweeps equal the undisturbed")

    def disturbed(self, output: str, duration: float) -> Path:
        """One sweep, killed and resumed until it ends."""
        latest = self.folder / output / "faults/latest"
        while True:
            began = (latest / "config.yaml").exists()
            target = ("--resume", str(latest.resolve())) if began else ("s.yaml", "--output", output)
            where = ("--executor", self.draw.choice(["in-process", "local"]))
            if not self.left:
                finished(self.folder, *target, *where)
                return latest.resolve()
            before = known(latest)
            process = start(self.folder, *target, *where)
            try:
                code = process.wait(self.draw.uniform(0.0, duration))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                self.left -= 1
                after = known(latest)
                self.midway += after > before
                print(f"  killed with {after} trials recorded ({before} before)", flush=True)
                continue
            assert code == 0, f"lrtool sweep {' '.join(target)} ended with {code}"
            return latest.resolve()


def main() -> None:
    """Run; an inequality ends it with a traceback."""
    kills, seed = (int(each) for each in (sys.argv[1:] + ["30", "0"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        Faults(Path(folder), kills, seed).run()


if __name__ == "__main__":
    main()
