"""Range tests of data and trainings so small that next to nothing can be told: still no point outside its interval."""

import pytest

from lrtool.engine.trials import EngineName
from lrtool.experiments.engines import Engines
from lrtool.experiments.range_test.range_test import run_range_test

PLACE = "lrtool.experiments.range_test.range_test"
DATA = """
import torch

def load(n=6, classes=2):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(n, 8, generator=g)
    return x, (x[:, 0] + x[:, 1] > 0).long() % classes

def same():
    return torch.ones(6, 8), torch.tensor([0, 1, 0, 1, 0, 1])

def numbers():
    return torch.arange(6.0)[:, None], torch.arange(6.0)[:, None]
"""
CHECKPOINTED = """
from torch import nn
from torch.utils.checkpoint import checkpoint

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Linear(8, 16), nn.ReLU())
        self.b = nn.Linear(16, 2)

    def forward(self, x):
        return self.b(checkpoint(self.a, x, use_reentrant=False))
"""
CASES = {
    "six samples": {},
    "three epochs": {"train__duration": "3ep"},
    "a model that cannot be stacked": {"model": {"use": "m.py:Net"}, "train__duration": "3ep"},
    "one update": {"train__duration": 1},
    "two samples": {"data__args": {"n": 2}, "data__batch_size": 1},
    "one class": {"data__args": {"classes": 1}},
    "inputs that are all alike": {"data__use": "d.py:same", "data__args": {}},
    "one batch": {"data__batch_size": 6, "optimizer": {"kind": "sgd", "lr": 1.0}},
    "regression": {"data__use": "d.py:numbers", "data__args": {}, "loss": "mse", "model": {"kind": "linear"}},
    "a validation sample": {"data__val_fraction": 0.2, "train__duration": "10ep"},
    "a short ramp": {"range_test__steps": 20, "train__duration": "25ep"},
}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("budget", [1.0, 12.0])
@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
def test_an_answer_within_its_own_interval_or_a_reason(configured, silent, tmp_path, monkeypatch, changes, budget):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "d.py").write_text(DATA)
    (tmp_path / "m.py").write_text(CHECKPOINTED)
    tiny = {
        "model": {"kind": "mlp", "hidden": [16]},
        "data": {"use": "d.py:load", "batch_size": 4, "val_fraction": 0},
        "loss": "cross_entropy",
        "optimizer": {"kind": "adam", "lr": 0.01},
        "train__duration": "50ep",
        "range_test": {"steps": 40, "seeds": 2, "probe_steps": 20},
    }
    setup = configured(**{**tiny, **changes})
    run, result = run_range_test(setup, tmp_path, silent, Engines(EngineName.LOOP), budget)
    for found in (result.suggestion, result.stability):
        assert found is None or 0 <= found.low <= found.value <= found.high
    assert (result.suggestion is None) == (result.reason is not None)
    assert run.folder.summary()["suggested_lr"] == (result.suggestion and result.suggestion.value)
