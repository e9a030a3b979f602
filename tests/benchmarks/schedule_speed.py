"""How long schedules take: a million steps of each kind as an array, against stepping torch's scheduler.

Run it as a script. Prints, for each kind, the best of several timings, the limit of 50 ms, and how many times
longer the torch scheduler of the same name takes for as many steps (timed over fewer, scaled up).
"""

import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from lrtool.schedules import KINDS

STEPS = 1_000_000
LIMIT = 0.050
STEPPED = 2_000
REPEATS = 7
LR = torch.optim.lr_scheduler

#: Fields that make a kind do its full work.
FIELDS = {
    "cosine": {"exponent": 1.3, "k": 1.5},
    "cosine_restarts": {"t_0": 1000, "t_mult": 2, "peak_decay": 0.9},
    "cyclical": {"mode": "exp_range", "gamma": 0.99999, "step_size_up": 1000},
    "one_cycle": {"phases": 3},
    "step": {"every": 1000, "gamma": 0.99},
    "polynomial": {"power": 1.7},
    "wsd": {"decay": "50%", "shape": "1-sqrt"},
}

TORCH = {
    "constant": lambda o: LR.ConstantLR(o, total_iters=100),
    "linear": lambda o: LR.LinearLR(o, 1.0, 0.1, STEPS),
    "polynomial": lambda o: LR.PolynomialLR(o, STEPS, 1.7),
    "step": lambda o: LR.StepLR(o, 1000, 0.99),
    "multistep": lambda o: LR.MultiStepLR(o, [STEPS // 2, STEPS * 3 // 4]),
    "exponential": lambda o: LR.ExponentialLR(o, 0.99999),
    "cosine": lambda o: LR.CosineAnnealingLR(o, STEPS),
    "cosine_restarts": lambda o: LR.CosineAnnealingWarmRestarts(o, 1000, 2),
    "cyclical": lambda o: LR.CyclicLR(o, 0.01, 0.1, 1000),
    "one_cycle": lambda o: LR.OneCycleLR(o, 0.1, STEPS),
    "sequence": lambda o: LR.SequentialLR(o, [LR.ConstantLR(o), LR.CosineAnnealingLR(o, STEPS)], [STEPS // 2]),
}


def array_seconds(kind: str, folder: Path) -> float:
    """Best time for all steps at once, evaluation only."""
    fields = FIELDS.get(kind, {})
    if kind == "table":
        file = folder / "rates.csv"
        file.write_text(f"step,factor\n0,1\n{STEPS // 2},0.5\n{STEPS},0\n")
        fields = {"file": file, "interpolate": True}
    curve = KINDS[kind](warmup="1%", **fields).bind(0.1, STEPS)
    steps = np.arange(STEPS)
    best = float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        curve(steps)
        best = min(best, time.perf_counter() - began)
    return best


def stepping_seconds(kind: str) -> float:
    """Time for as many steps with torch's scheduler."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    optimizer.step()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = TORCH[kind](optimizer)
        began = time.perf_counter()
        for _ in range(STEPPED):
            scheduler.step()
    return (time.perf_counter() - began) / STEPPED * STEPS


def arrays() -> bool:
    """The table of all kinds; whether every one keeps the limit."""
    torch.set_num_threads(1)
    print(f"{STEPS:,} steps as an array (1% warm-up), limit {LIMIT * 1e3:.0f} ms")
    print(f"{'kind':20}{'ms':>8}   {'torch, stepped':>16}{'ratio':>9}")
    kept = True
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS.kinds:
            seconds = array_seconds(kind, Path(folder))
            kept &= seconds <= LIMIT
            verdict = "PASS" if seconds <= LIMIT else "FAIL"
            versus = ""
            if kind in TORCH:
                stepped = stepping_seconds(kind)
                versus = f"{stepped * 1e3:13,.0f} ms{stepped / seconds:8,.0f}×"
            print(f"{kind:20}{seconds * 1e3:8.1f}   {versus:25} {verdict}")
    return kept


if __name__ == "__main__":
    sys.exit(0 if arrays() else 1)
