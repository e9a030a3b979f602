"""A sweep of a user's own model and data, and what its trials gave."""

import numpy as np

from lrtool.config.sweep.load import load_sweep
from lrtool.engine.observer import Observer
from lrtool.experiments.sweep.options import Options
from lrtool.experiments.sweep.sweep import run_sweep
from lrtool.report.terminal.board import SweepBoard
from lrtool.runs.sweep.store import read_trials

NET = """
import time
from pathlib import Path
from torch import nn
import helper

class Net(nn.Module):
    def __init__(self, width=8, told=None):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, helper.CLASSES))
        if told:
            Path(told).write_text(__file__)

    def forward(self, x):
        # No stack can be made of it, and a node can go while it trains.
        time.sleep(helper.SECONDS)
        return self.net(x)
"""
DATA = """
import numpy as np
from pathlib import Path

def load():
    data = np.load(Path(__file__).parent / "points.npz")
    return data["x"], data["y"]
"""
SWEEP = """
base:
  model: {use: "net.py:Net", args: {told: TOLD}}
  data: {use: "data.py:load", batch_size: 32, val_fraction: 0.2}
  optimizer: {kind: sgd, lr: 0.1}
  train: {duration: 24, eval_every: 8}
  device: cpu
"""
GRID = "grid: {optimizer.lr: {log: [0.01, 1], points: 4}}\nseeds: 2\n"


def project(folder, rest=GRID, seconds=0.0, told=""):
    """Write the sweep and its code into a folder; gives the sweep's file."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    y = draw.integers(0, 3, 200)
    np.savez(folder / "points.npz", x=(draw.normal(size=(200, 4)) + y[:, None]).astype("float32"), y=y)
    (folder / "net.py").write_text(NET)
    (folder / "helper.py").write_text(f"CLASSES, SECONDS = 3, {seconds}\n")
    (folder / "data.py").write_text(DATA)
    (folder / "s.yaml").write_text(SWEEP.replace("TOLD", f'"{told}"') + rest)
    return folder / "s.yaml"


def swept(file, output, board=None, **options):
    """Carry a sweep out; gives its trials."""
    run = run_sweep(load_sweep(file), output, Options(**options), board or SweepBoard("s"), lambda *_: Observer())
    return read_trials(run.folder.path)


def same(ours, theirs):
    """Whether two sweeps gave the same, trial by trial, but for the time it took."""
    assert [each.number for each in ours] == [each.number for each in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert (one.variant, one.seed, one.status, one.steps) == (other.variant, other.seed, other.status, other.steps)
        assert one.values == other.values
        np.testing.assert_equal(one.curve, other.curve)
