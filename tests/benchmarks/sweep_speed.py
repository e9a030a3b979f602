"""A sweep of 360 trials against the same trials in a hand-written loop, alone and driven by Optuna with two workers.

6 schedules × 12 LRs × 5 seeds, the digits MLP, 2,000 updates, evaluated at the end. `lrtool sweep` is timed as a
command: start-up, compilation and store included. The contenders train an evenly drawn subset, scaled up; the loop
has whichever of one and all threads is faster, Optuna's workers have one each. Usage: sweep_speed.py [SUBSET]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lrtool.config.load import load_config
from lrtool.runs.sweep.store import read_trials
from lrtool.tasks.base import BuildContext

ROOT = Path(__file__).parents[2]
BASE = ROOT / "configs" / "digits-mlp.yaml"
STEPS, BATCH, SEEDS = 2000, 64, 5
LRS = np.geomspace(1e-3, 0.3, 12)
#: Each schedule for `lrtool`, and its factor of the peak by hand.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda p: 1.0,
    "{kind: cosine}": lambda p: 0.5 * (1 + np.cos(np.pi * p)),
    "{kind: polynomial, power: 1}": lambda p: 1 - p,
    "{kind: polynomial, power: 2}": lambda p: (1 - p) ** 2,
    "{kind: cosine, warmup: 10%}": lambda p: p / 0.1 if p < 0.1 else 0.5 * (1 + np.cos(np.pi * (p - 0.1) / 0.9)),
    "{kind: wsd}": lambda p: 1.0 if p < 0.8 else (1 - p) / 0.2,
}
SWEEP = f"""\
base: {{extends: {BASE}, device: cpu, train: {{duration: {STEPS}, eval_every: 0}}}}
grid:
  schedule: [{", ".join(SCHEDULES)}]
  optimizer.lr: {{log: [1e-3, 0.3], points: {len(LRS)}}}
  seed: {SEEDS}
"""
TRIALS = [(s, lr, seed) for s in range(len(SCHEDULES)) for lr in range(len(LRS)) for seed in range(SEEDS)]


def data() -> tuple[torch.Tensor, ...]:
    """The digits as the config has them."""
    config = load_config(BASE)
    loaded = config.data.load(BuildContext(folder=ROOT))
    train, val = loaded.train, loaded.val
    return train.inputs[0].flatten(1), train.target, val.inputs[0].flatten(1), val.target


def by_hand(parts: tuple[torch.Tensor, ...], number: int) -> float:
    """One trial as people write it: the final validation loss."""
    inputs, target, val_inputs, val_target = parts
    schedule, lr, seed = TRIALS[number]
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(inputs.shape[1], 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=float(LRS[lr]), momentum=0.9)
    factor = list(SCHEDULES.values())[schedule]
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: float(factor(step / STEPS)))
    step = 0
    while step < STEPS:
        order = torch.randperm(len(target))
        for start in range(0, len(target) - BATCH + 1, BATCH):
            rows = order[start : start + BATCH]
            loss = nn.functional.cross_entropy(model(inputs[rows]), target[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            step += 1
            if step == STEPS:
                break
    with torch.no_grad():
        return nn.functional.cross_entropy(model(val_inputs), val_target).item()


def sequential(numbers: list[int]) -> float:
    """Seconds of the whole sweep, one trial after the other."""
    parts, everything = data(), torch.get_num_threads()

    def seconds(threads: int, of: list[int]) -> float:
        torch.set_num_threads(threads)
        began = time.perf_counter()
        for number in of:
            by_hand(parts, number)
        return (time.perf_counter() - began) / len(of)

    seconds(1, numbers[:1])
    fastest = min({1, everything}, key=lambda threads: seconds(threads, numbers[:2]))
    taken = seconds(fastest, numbers)
    torch.set_num_threads(everything)
    return taken * len(TRIALS)


def worker(storage: str) -> None:
    """One of Optuna's workers: takes trials from the grid until none are left."""
    import optuna

    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    parts = data()
    study = optuna.load_study(study_name="speed", storage=storage)
    total = len(study.user_attrs["numbers"])
    study.sampler = optuna.samplers.GridSampler({"number": study.user_attrs["numbers"]}, seed=0)

    def objective(trial: optuna.Trial) -> float:
        return by_hand(parts, trial.suggest_int("number", 0, len(TRIALS) - 1))

    study.optimize(objective, n_trials=total)  # the sampler stops both workers when the grid is done


def optuna_two_workers(numbers: list[int], folder: Path) -> tuple[float, int]:
    """Seconds of the whole sweep through Optuna with two processes; start-up is counted once, not scaled."""
    import optuna

    storage = f"sqlite:///{folder / 'optuna.db'}"
    study = optuna.create_study(study_name="speed", storage=storage)
    study.set_user_attr("numbers", numbers)
    command = [sys.executable, __file__, "--worker", storage]
    began = time.perf_counter()
    workers = [subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}) for _ in range(2)]
    assert [each.wait() for each in workers] == [0, 0]
    wall = time.perf_counter() - began
    done = [t for t in study.get_trials() if t.state == optuna.trial.TrialState.COMPLETE]
    first = min(trial.datetime_start for trial in done if trial.datetime_start)
    last = max(trial.datetime_complete for trial in done if trial.datetime_complete)
    training = (last - first).total_seconds()
    return (wall - training) + training / len(done) * len(TRIALS), len(done)


def lrtool_sweep(folder: Path) -> float:
    """Seconds of the command, all 360 trials; its calibration file is its own, so nothing was measured before."""
    (folder / "s.yaml").write_text(SWEEP)
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    environment["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "inductor")
    command = [sys.executable, "-m", "lrtool", "sweep", "s.yaml", "--quiet", "--output", "out"]
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - began
    trials = read_trials(folder / "out/s/latest")
    finished = sum(trial.status == "finished" for trial in trials)
    updates = sum(trial.steps for trial in trials) / (len(TRIALS) * STEPS)
    print(f"lrtool sweep: {wall:.1f} s, {finished} of {len(trials)} trials finished, {updates:.0%} of the updates")
    return wall


def main() -> None:
    """Print seconds and ratios."""
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2])
        return
    subset = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    numbers = [len(TRIALS) * at // subset + at % SEEDS for at in range(subset)]
    with tempfile.TemporaryDirectory() as name:
        ours = lrtool_sweep(Path(name))
        loop = sequential(numbers)
        print(f"sequential loop: {loop:.1f} s ({subset} of 360 trials, scaled): {loop / ours:.1f}x (at least 5x)")
        try:
            driven, done = optuna_two_workers(numbers, Path(name))
        except ModuleNotFoundError:
            print("Optuna is not installed: pip install optuna")
            return
        print(f"Optuna, 2 workers: {driven:.1f} s ({done} of 360 trials, scaled): {driven / ours:.1f}x (at least 3x)")


if __name__ == "__main__":
    main()
