"""Small models, data and settings, so that a range test takes a fraction of a second."""

import pytest
import torch

from lrtool.experiments.range_test import range_test as running

#: A ramp alone, as short as can be read.
QUICK = {"duration": 40, "steps": 24, "seeds": 1, "probe_steps": 0, "progress": False}


@pytest.fixture
def quick():
    return dict(QUICK)


@pytest.fixture
def undrawn(monkeypatch):
    """No plots are drawn: they take longer than all else."""
    monkeypatch.setattr(running, "save", lambda *_: None)
    monkeypatch.setattr(running, "draw_range_test", lambda *_: None)


@pytest.fixture
def data():
    torch.manual_seed(1)
    x = torch.randn(80, 6)
    return x, (x[:, 0] > 0).long()
