"""What belongs to the whole process and a training moves: random states, autocast, whether gradients are on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

from lrtool.live.remembering import Remembered, Restore

#: Kinds of devices whose autocast is looked at.
_KINDS = ("cpu", "cuda", "mps", "xpu")


def remember_process(memory: Remembered) -> None:
    """Remember the process's random states and torch's modes."""
    for put_back in (*_random_states(), *_modes()):
        memory.then(put_back)


def _random_states() -> Iterator[Restore]:
    """Python's, NumPy's and torch's own generators, on every device that is in use."""
    pythons, numpys, torchs = random.getstate(), np.random.get_state(legacy=False), torch.get_rng_state()  # noqa: NPY002
    yield lambda: random.setstate(pythons)
    yield lambda: np.random.set_state(numpys)  # noqa: NPY002
    yield lambda: torch.set_rng_state(torchs)
    for name in ("cuda", "xpu"):
        backend = getattr(torch, name, None)
        # Asking a device that nobody uses would start it.
        if backend is not None and backend.is_available() and backend.is_initialized():
            yield partial(backend.set_rng_state_all, backend.get_rng_state_all())
    if torch.backends.mps.is_available():
        state = torch.mps.get_rng_state()
        yield lambda: torch.mps.set_rng_state(state)


def _modes() -> Iterator[Restore]:
    """Autocast of every device, gradients on or off, the default precision, the threads."""
    for kind in _KINDS:
        try:
            enabled, dtype = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)
        except RuntimeError:  # a device that this torch does not know
            continue
        yield partial(torch.set_autocast_enabled, kind, enabled)
        yield partial(torch.set_autocast_dtype, kind, dtype)
    cached, gradients = torch.is_autocast_cache_enabled(), torch.is_grad_enabled()
    yield lambda: torch.set_autocast_cache_enabled(cached)
    yield lambda: torch.set_grad_enabled(gradients)
    default, threads = torch.get_default_dtype(), torch.get_num_threads()
    yield lambda: torch.set_default_dtype(default)
    yield lambda: torch.set_num_threads(threads) if torch.get_num_threads() != threads else None
