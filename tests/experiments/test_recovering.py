"""A training that diverges goes back to its last good state and on at half the LR, where it was asked to."""

import logging

import numpy as np
import pytest

from lrtool.config.load import load_config
from lrtool.config.problems import ConfigError
from lrtool.config.sweep.load import load_sweep
from lrtool.engine.loop import checkpoint
from lrtool.errors import Interrupted
from lrtool.experiments.setup import prepare
from lrtool.experiments.train import RECOVERIES, resume_training, run_training
from lrtool.runs.folder import RunFolder
from lrtool.runs.metrics import read_metrics
from lrtool.status import Status
from tests.experiments.test_train import StopAt, bytes_without_seconds

pytestmark = pytest.mark.usefixtures("undrawn")

CODE = """\
import torch
from torch import nn

class Net(nn.Module):
    '''Breaks from its `bad`-th batch on where the LR, which `probe` falls by at each update, is above `most`.'''

    def __init__(self, bad=35, most=0.012, finite=False):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.1), nn.Linear(8, 1))
        self.probe = nn.Parameter(torch.zeros(()))
        self.bad, self.most, self.finite = bad, most, finite
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("last", torch.zeros(()))

    def forward(self, x):
        out = self.layers(x)
        if self.training:
            self.seen += 1
            lr = float(self.last - self.probe.detach())
            self.last.copy_(self.probe.detach())
            if self.seen > self.bad and lr > self.most:
                out = out + (6 - 12 * (self.seen % 2) if self.finite else float("nan"))
        return out, self.probe

def loss(output, target):
    out, probe = output
    return ((out - target) ** 2).mean() + probe - probe.detach()

def load():
    x = torch.linspace(-1, 1, 120).reshape(40, 3)
    return (x, x.sum(1, keepdim=True)), (x[:8], x[:8].sum(1, keepdim=True))
"""
CONFIG = """\
name: back
model: {{use: "mine.py:Net", args: {args}}}
data: {{use: "mine.py:load", batch_size: 8}}
loss: {{use: "mine.py:loss"}}
optimizer: {{kind: sgd, lr: 0.04, momentum: 0}}
schedule: {{kind: cosine, final: 50%}}
train: {{duration: {steps}, eval_every: 5, on_divergence: restore_and_halve_lr}}
"""


@pytest.fixture
def setup_of(tmp_path):
    def made(args="{}", steps=60, extra=()):
        (tmp_path / "mine.py").write_text(CODE)
        (tmp_path / "back.yaml").write_text(CONFIG.format(args=args, steps=steps))
        return prepare(load_config(tmp_path / "back.yaml", extra))

    return made


def result(run):
    folder = run.session.folder
    weights = sorted(folder.checkpoints.glob("step-*.safetensors"))[-1].read_bytes()
    return weights, bytes_without_seconds(folder.path), run.session.summary()["recoveries"]


def test_it_goes_back_and_on_at_half_the_lr(setup_of, tmp_path, silent, caplog):
    with caplog.at_level(logging.WARNING):
        run = run_training(setup_of(), tmp_path, silent)
    summary = run.session.summary()
    assert summary["status"] == Status.FINISHED
    first, second = summary["recoveries"]
    assert first["step"] == second["step"] == 35
    assert (first["restored"], second["restored"], first["factor"], second["factor"]) == (30, 30, 0.5, 0.25)
    curve = prepare(run.session.config).trial(0, 0.04).curves["lr"](np.arange(60))
    metrics = read_metrics(run.session.folder.path / "metrics.csv")
    np.testing.assert_allclose(metrics["lr"], curve * np.where(np.arange(60) < 30, 1, 0.25))
    assert np.isfinite(metrics["train_loss"]).all()
    assert "went back to the state after 30 updates, and on at 0.5 times the LR of the schedule" in caplog.text
    assert any("0.25 times the LR" in note for note in run.notes)


def test_it_gives_up_after_a_while_and_says_so(setup_of, tmp_path, silent):
    summary = run_training(setup_of("{most: 0.0}"), tmp_path, silent).session.summary()
    assert summary["status"] == Status.DIVERGED
    assert len(summary["recoveries"]) == RECOVERIES
    assert f"the LR had been halved {RECOVERIES} times before, so this is given up" in summary["reason"]
    assert summary["diverged_at"]["step"] == 35


def test_a_loss_that_is_up_long_before_it_counts_as_diverged_is_not_gone_back_to(setup_of, tmp_path, silent):
    setup = setup_of("{most: 0.021, finite: true}", 300)
    summary = run_training(setup, tmp_path, silent).session.summary()
    (recovery,) = summary["recoveries"]
    assert recovery["step"] > 120
    assert recovery["restored"] == 30
    assert summary["status"] == Status.FINISHED


@pytest.mark.parametrize("every", ["0", "7"])
@pytest.mark.parametrize("stop", [34, 36, 50])
def test_a_run_killed_around_it_goes_on_as_if_it_had_not_been(every, stop, setup_of, tmp_path, silent):
    """Also where the checkpoint that it goes on from is of updates that are trained in vain."""
    extra = [f"train.checkpoint_every={every}"]
    whole = result(run_training(setup_of(extra=extra), tmp_path / "whole", silent))
    with pytest.raises(Interrupted):
        run_training(setup_of(extra=extra), tmp_path / "cut", lambda *_: StopAt(stop))
    folder = RunFolder.open(tmp_path / "cut" / "back" / "latest")
    again = prepare(load_config(folder.config, code_beside=False), [f"{tmp_path}/"])
    assert result(resume_training(again, folder, silent)) == whole


def test_checkpoints_of_what_was_in_vain_are_gone(setup_of, tmp_path, silent):
    seen = []

    class Look(StopAt):
        def rewound(self, trial, trace):
            folder = RunFolder.open(tmp_path / "back" / "latest")
            seen.append(sorted(each.step for each in checkpoint.found(folder.checkpoints)))

    setup = setup_of("{most: 0.021, finite: true}", 300, ["train.checkpoint_every=10"])
    run = run_training(setup, tmp_path, lambda *_: Look(10**9))
    assert seen[0][-1] > 30
    steps = [each.step for each in checkpoint.found(run.session.folder.checkpoints)]
    assert steps == [300, 290]


def test_a_sweep_does_not_go_back(setup_of, tmp_path):
    setup_of()
    (tmp_path / "sweep.yaml").write_text("base: back.yaml\ngrid: {optimizer.lr: [0.1, 0.2]}\n")
    with pytest.raises(ConfigError, match=r"back.yaml:7:\d+.*on_divergence.*a sweep is to show which LRs diverge"):
        load_sweep(tmp_path / "sweep.yaml")


def test_a_range_test_takes_no_notice(setup_of):
    assert setup_of().recipe.recoveries == 0
