# ruff: noqa: NPY002 - users draw from numpy's global state, so that is what must be seeded and kept
"""Random states: each trial draws from its own seed, and whoever called finds theirs as it was.

Covers torch (CPU and the trial's device), numpy's global state and Python's `random`, because a user's
data set or model may draw from any of them.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from lrtool.tasks.loading.draws import host_preserved

# Keeps the training stream (dropout, augmentation) apart from the one that initial weights are drawn from.
_TRAINING_STREAM = 0x5EED


def capture(device: torch.device) -> dict[str, Tensor]:
    """Every random state as tensors, on the CPU."""
    numpy_state = np.random.get_state(legacy=False)
    version, words, gauss = random.getstate()
    key = np.asarray(numpy_state["state"]["key"], dtype=np.int64)
    numpy_rest = [numpy_state["state"]["pos"], numpy_state["has_gauss"], numpy_state["gauss"]]
    states = {
        "torch": torch.get_rng_state(),
        "numpy": torch.from_numpy(key.copy()),
        "numpy_rest": torch.tensor(numpy_rest, dtype=torch.float64),
        "python": torch.tensor(words, dtype=torch.int64),
        "python_rest": torch.tensor([version, np.nan if gauss is None else gauss], dtype=torch.float64),
    }
    if device.type != "cpu":
        states["device"] = _device_state(device)
    return states


def restore(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Put back what `capture` gave."""
    torch.set_rng_state(states["torch"])
    pos, has_gauss, gauss = states["numpy_rest"].tolist()
    np.random.set_state(
        {
            "bit_generator": "MT19937",
            "state": {"key": states["numpy"].numpy().astype(np.uint32), "pos": int(pos)},
            "has_gauss": int(has_gauss),
            "gauss": gauss,
        }
    )
    version, python_gauss = states["python_rest"].tolist()
    next_gauss = None if np.isnan(python_gauss) else python_gauss
    random.setstate((int(version), tuple(states["python"].tolist()), next_gauss))
    if "device" in states and device.type != "cpu":
        _set_device_state(device, states["device"])


@contextlib.contextmanager
def preserved(device: torch.device) -> Iterator[None]:
    """Whatever is drawn inside, the states afterwards are those from before."""
    devices = _device_state(device) if device.type != "cpu" else None
    try:
        with host_preserved():
            yield
    finally:
        if devices is not None:
            _set_device_state(device, devices)


def seed_training(seed: int, device: torch.device) -> None:
    """Start the stream that a trial's dropout and augmentation draw from."""
    words = np.random.SeedSequence([seed, _TRAINING_STREAM]).generate_state(2)
    torch.default_generator.manual_seed(int(words[0]))
    np.random.seed(words[1])
    random.seed(int(words[1]))
    match device.type:
        case "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(int(words[0]))
        case "mps":
            torch.mps.manual_seed(int(words[0]))


def _device_state(device: torch.device) -> Tensor:
    return torch.mps.get_rng_state() if device.type == "mps" else torch.cuda.get_rng_state(device)


def _set_device_state(device: torch.device, state: Tensor) -> None:
    if device.type == "mps":
        torch.mps.set_rng_state(state)
    else:
        torch.cuda.set_rng_state(state, device)
