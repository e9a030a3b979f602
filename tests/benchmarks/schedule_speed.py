"""How long schedules take: a million steps of each kind as an array, against stepping torch's scheduler.

Run it as a script. Prints, for each kind, the best of several timings, the limit of 50 ms, and how many times
longer the torch scheduler of the same name takes for as many steps (timed over fewer, scaled up). Then what a step
of `CurveLR` takes against a step of torch's cosine, and how long `lrtool schedule show` takes to a PNG file against
importing what it needs.
"""

import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from lrtool.integrations.torch import CurveLR
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


def step_seconds(make, groups: int) -> float:
    """Time of one `step()` over an optimizer with so many param groups."""
    members = [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(groups)]
    optimizer = torch.optim.SGD(members, lr=0.1, momentum=0.9)
    scheduler = make(optimizer)
    optimizer.step()
    scheduler.step()
    began = time.perf_counter()
    for _ in range(STEPPED):
        scheduler.step()
    return (time.perf_counter() - began) / STEPPED


def stepping() -> bool:
    """CurveLR against torch's cosine, in turns; whether it is no slower."""
    print("\nmicroseconds of a step()")
    print(f"{'param groups':14}{'CurveLR':>9}{'one_cycle':>11}{'torch cosine':>14}{'ratio':>8}")
    makers = (
        lambda o: CurveLR(o, "cosine", STEPS),
        lambda o: CurveLR(o, "one_cycle", STEPS),
        lambda o: LR.CosineAnnealingLR(o, STEPS),
    )
    kept = True
    for groups in (1, 2, 10):
        ours, driving, theirs = np.min(
            [[step_seconds(make, groups) for make in makers] for _ in range(REPEATS)], axis=0
        )
        kept &= bool(ours <= theirs)
        verdict = "PASS" if ours <= theirs else "FAIL"
        print(f"{groups:<14}{ours * 1e6:9.2f}{driving * 1e6:11.2f}{theirs * 1e6:14.2f}{ours / theirs:8.2f}   {verdict}")
    return kept


def process_seconds(*arguments: str) -> float:
    """Time of a Python process."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - began


def start_to_png() -> bool:
    """`lrtool schedule show` from start to PNG against 1.5 × the imports + 0.3 s; whether it is within."""
    command = "import sys; from lrtool.cli.app import run; sys.exit(run(sys.argv[1:]))"
    config = str(Path(__file__).parents[2] / "configs" / "digits-mlp.yaml")
    print("\nseconds from start to PNG")
    kept = True
    with tempfile.TemporaryDirectory() as folder:
        for name, items in (("a kind", ["cosine", "warmup=5%"]), ("a config", [config])):
            arguments = ("-c", command, "schedule", "show", *items, "--png", f"{folder}/plot.png")
            pairs = [
                (process_seconds(*arguments), process_seconds("-c", "import matplotlib.figure, numpy"))
                for _ in range(REPEATS)
            ]
            ours, imports = np.min(pairs, axis=0)
            limit = 1.5 * imports + 0.3
            kept &= bool(ours <= limit)
            verdict = "PASS" if ours <= limit else "FAIL"
            print(f"{name:10}{ours:6.2f}   imports {imports:.2f}, limit {limit:.2f}   {verdict}")
    return kept


if __name__ == "__main__":
    results = [arrays(), stepping(), start_to_png()]
    sys.exit(0 if all(results) else 1)
