"""Data on which a short ramp shows an LR, digests of what must be left as it was, and no plots, which take longest."""

import pytest
import torch

from tests.live.digests import digest as digest_of

#: A ramp alone, as short as shows something.
QUICK = {"quick": True, "steps": 40, "seeds": 1, "start": 1e-4, "progress": False}


@pytest.fixture
def quick():
    return dict(QUICK)


@pytest.fixture
def pairs():
    """Inputs and targets of eight batches of 16 that are all alike, so that the loss has no noise."""
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    return x.repeat(8, 1), x.sum(1, keepdim=True).repeat(8, 1)


@pytest.fixture
def loader(pairs):
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*pairs), 16)


@pytest.fixture
def digest():
    return digest_of
