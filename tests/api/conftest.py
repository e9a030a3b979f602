"""Small models, data and settings, so that a range test takes a fraction of a second."""

import pytest
import torch

#: A ramp alone, as short as can be read.
QUICK = {"duration": 40, "steps": 24, "seeds": 1, "probe_steps": 0, "progress": False}


@pytest.fixture
def quick():
    return dict(QUICK)


@pytest.fixture
def data():
    torch.manual_seed(1)
    x = torch.randn(80, 6)
    return x, (x[:, 0] > 0).long()
