"""What is no number ends a training as diverged, wherever it comes up: in validation, in gradients, at the very end."""

import csv

import numpy as np
import pytest

from lrtool.config.load import load_config
from lrtool.experiments.setup import prepare
from lrtool.experiments.train import run_training
from lrtool.status import Status

pytestmark = pytest.mark.usefixtures("undrawn")

CODE = """\
import torch
from torch import nn

class Net(nn.Module):
    \"\"\"Linear; evaluation number `evaluation`, or the gradient of forward pass `gradient`, gets `value`.\"\"\"

    def __init__(self, evaluation=-1, gradient=-1, value="nan"):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.evaluation, self.gradient, self.value = evaluation, gradient, float(value)
        self.passes, self.evaluations, self.seen = 0, -1, -1

    def forward(self, x):
        y = self.layer(x)
        if self.training:
            if self.passes == self.gradient:
                y.register_hook(lambda gradient: gradient * self.value)
            self.passes += 1
            return y
        if self.seen != self.passes:
            self.seen, self.evaluations = self.passes, self.evaluations + 1
        return y * self.value if self.evaluations == self.evaluation else y

class Share:
    \"\"\"A metric that is no number from its call number `at` on.\"\"\"

    def __init__(self, at):
        self.at, self.calls = at, 0

    def __call__(self, output, target):
        self.calls += 1
        return (output.argmax(-1) == target).float() * (float("nan") if self.calls > self.at else 1.0)
"""
CONFIG = """\
name: own
model: {{use: "mine.py:Net", args: {args}}}
data: {{kind: spirals, samples: 120, batch_size: 24}}
optimizer: {{kind: sgd, lr: 0.05, momentum: 0.9}}
schedule: constant
train: {{duration: 20, eval_every: 5}}
"""


@pytest.fixture
def trained(tmp_path, silent):
    """The summary of a training of the model with these arguments, and the cells of its validation losses."""

    def trained(args, *overrides):
        (tmp_path / "mine.py").write_text(CODE)
        (tmp_path / "own.yaml").write_text(CONFIG.format(args=args))
        setup = prepare(load_config(tmp_path / "own.yaml", overrides))
        folder = run_training(setup, tmp_path / "out", silent).session.folder
        with (folder.path / "metrics.csv").open(newline="") as file:
            cells = [row.get("val_loss", "") for row in csv.DictReader(file)]
        return folder.summary(), [cell for cell in cells if cell]

    return trained


@pytest.mark.parametrize("evaluation", [0, 1, 3])
def test_a_validation_that_is_no_number_ends_it_and_is_no_empty_cell(trained, evaluation):
    summary, cells = trained(f"{{evaluation: {evaluation}}}")
    steps = 5 * (evaluation + 1)
    assert summary["status"] == Status.DIVERGED and summary["steps"] == steps
    assert f"the validation loss became nan after {steps} updates" in summary["reason"]
    assert summary["final"]["step"] == steps and summary["final"]["val_loss"] is None
    assert cells[-1] == "nan" and len(cells) == evaluation + 1


def test_an_infinite_validation_ends_it_only_at_the_end(trained):
    summary, cells = trained("{evaluation: 1, value: 3e38}")
    assert summary["status"] == Status.FINISHED and cells[1] == "inf"
    assert np.isfinite(summary["final"]["val_loss"])
    assert trained("{evaluation: 3, value: 3e38}")[0]["status"] == Status.DIVERGED


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["train.clip_norm=1.0"],
        ["train.accumulate=2"],
        ["optimizer={kind: adamw, lr: 0.01}"],
        ["data.val_fraction=0", "train.eval_every=0"],
    ],
)
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_gradient_of_the_last_update_that_is_none_makes_no_finished_run(trained, overrides, value):
    last = 39 if "train.accumulate=2" in overrides else 19
    summary, _ = trained(f"{{gradient: {last}, value: {value}}}", *overrides)
    assert summary["status"] == Status.DIVERGED and summary["diverged_at"]["step"] == 19
    assert "the weights are not finite after update 19" in summary["reason"]


def test_a_metric_that_is_no_number_is_not_the_best_and_is_told(trained):
    given = "metrics=[{use: 'mine.py:Share', args: {at: 2}}]"
    summary, _ = trained("{}", given)
    assert summary["status"] == Status.FINISHED
    assert summary["final"]["step"] == 20 and summary["final"]["val_Share"] is None
