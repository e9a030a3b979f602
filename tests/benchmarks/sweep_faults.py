"""Kills sweeps with kill -9 at random moments; what is resumed must equal the undisturbed sweep, trial by trial.

Stacked trials and trials that train one by one, one of which always fails, and the same pruned by halving, pruned by
ASHA, and drawn by TPE and pruned; started and resumed in this process or in several. The first is killed 30 times,
each of the others 10 times: one in four at any moment, also while it starts, the others once it has recorded something.
Usage: sweep_faults.py [KILLS [SEED]], where KILLS are those of the first.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lrtool.errors import ExitCode, UsageError
from lrtool.runs.sweep.store import StoredTrial, read_trials

BASE = Path(__file__).parents[2] / "configs" / "digits-mlp.yaml"
START = f"""\
name: faults
base: {{extends: {BASE}, name: faults, device: cpu, train: {{duration: 120, eval_every: 40}}}}
variants:
  stacked: {{}}
  deep: {{model.hidden: [64, 64, 64]}}
  one-by-one: {{plateau: {{metric: val_loss, patience: 1}}}}
  impossible: {{data.batch_size: 5000}}
"""
GRID = "grid: {schedule: [cosine, constant], optimizer.lr: {log: [0.01, 1], points: 4}, seed: 3}\n"
DRAWN = """\
random: {optimizer.lr: {log: [0.001, 10]}, schedule: [cosine, constant], schedule.warmup: [0, 10%]}
where: {schedule.warmup: {schedule.kind: [cosine]}}
samples: 8
batch: 4
sampler: tpe
seeds: 2
"""
SWEEPS = {
    "grid": START + GRID,
    "halving": START + GRID + "prune: halving\n",
    "asha": START + GRID + "prune: asha\nbatch: 8\n",
    "tpe": START + DRAWN + "prune: {kind: asha, factor: 2, rungs: 1}\n",
}
#: Kills of the first sweep, and of each other for one of those.
KILLS, OTHERS = 30, 1 / 3
#: Part of the kills that may come before anything is recorded, and seconds between two looks whether something is.
_ANYWHERE, _LOOK = 0.25, 0.02


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A sweep in a process of its own."""
    command = [sys.executable, "-m", "lrtool", "sweep", *arguments, "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def finished(folder: Path, *arguments: str) -> float:
    """Let a sweep finish; the seconds it took."""
    began = time.perf_counter()
    code = start(folder, *arguments).wait()
    check(code, arguments)
    return time.perf_counter() - began


def check(code: int, arguments: Sequence[str]) -> None:
    """AssertionError where a sweep ended otherwise than with the trials that always fail."""
    assert code == ExitCode.TASK, f"lrtool sweep {' '.join(arguments)} ended with {code}"


def known(run: Path) -> dict[int, str]:
    """The status of each trial that is recorded."""
    try:
        return {trial.number: trial.status for trial in read_trials(run)}
    except UsageError:
        return {}


def recorded(process: subprocess.Popen[bytes], run: Path, before: dict[int, str]) -> bool:
    """Wait until a sweep records something; False where it ended first."""
    while process.poll() is None:
        if known(run) != before:
            return True
        time.sleep(_LOOK)
    return False


def equal(one: list[StoredTrial], other: list[StoredTrial]) -> None:
    """Trial by trial, everything but the time taken; bit by bit."""
    for a, b in zip(one, other, strict=True):
        np.testing.assert_equal({**vars(a), "seconds": 0}, {**vars(b), "seconds": 0})


class Faults:
    """Kills one sweep after the other until it has killed enough."""

    def __init__(self, folder: Path, name: str, kills: int, seed: int) -> None:
        self.folder, self.name, self.left, self.draw = folder, name, kills, random.Random(f"{name} {seed}")
        self.kills, self.sweeps, self.midway = kills, 0, 0

    def run(self) -> None:
        """Undisturbed first, then with kills."""
        (self.folder / "s.yaml").write_text(SWEEPS[self.name])
        duration = finished(self.folder, "s.yaml", "--output", "whole")
        whole = read_trials((self.folder / "whole/faults/latest").resolve())
        counts = Counter(trial.status for trial in whole)
        said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        print(f"{self.name}, undisturbed: {len(whole)} trials ({said}) in {duration:.1f} s", flush=True)
        while self.left:
            run = self.disturbed(f"cut-{self.sweeps}", duration)
            equal(read_trials(run), whole)
            self.sweeps += 1
        print(
            f"{self.name}: {self.kills} kills, {self.midway} of them while trials were recorded;"
            f" {self.sweeps} sweeps equal the undisturbed",
            flush=True,
        )

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
            if self.killed(process, latest, before, duration):
                self.left -= 1
                after = known(latest)
                self.midway += after != before
                new = sum(before.get(number) != status for number, status in after.items())
                print(f"  killed with {len(after)} trials recorded, {new} of them new or further", flush=True)
                continue
            check(process.returncode, target)
            return latest.resolve()

    def killed(self, process: subprocess.Popen[bytes], run: Path, before: dict[int, str], duration: float) -> bool:
        """Kill a sweep at a random moment; False where it ended before."""
        moment = self.draw.uniform(0.0, duration)
        if self.draw.random() > _ANYWHERE:
            recorded(process, run, before)
            moment /= 2  # about half the time has passed
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return True
        return False


def main() -> None:
    """Run; an inequality ends it with a traceback."""
    kills, seed = (int(each) for each in (sys.argv[1:] + [str(KILLS), "0"][len(sys.argv) - 1 :]))
    for number, name in enumerate(SWEEPS):
        with tempfile.TemporaryDirectory() as folder:
            Faults(Path(folder), name, kills if not number else round(kills * OTHERS), seed).run()


if __name__ == "__main__":
    main()
