"""Devices: which one a name means on this machine, what there is, and how it is to compute."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from lrtool.engine.parallel.joining import current, launched_here, own_index
from lrtool.errors import UsageError

_FORMS = "write auto, cpu, cuda, cuda:N or mps"


def available_devices() -> list[str]:
    """Names of the devices of this machine that lrtool can train on, the fastest kind first."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*cuda, *mps, "cpu"]


def resolve_device(name: str) -> torch.device:
    """The device a name means: `auto` (CUDA, else MPS, else CPU), `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises UsageError for an unknown name and for a device this machine lacks, naming those it has.
    """
    there = available_devices()
    if not current().alone and not current().scripted:
        return _own_device(name, there)
    if name == "auto":
        return torch.device(there[0])
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not (kind == "cuda" and index.isdecimal())) or name[-1] == ":":
        raise UsageError(f"there is no device {name!r}", where="device", remedy=_FORMS)
    wanted = f"cuda:{int(index or 0)}" if kind == "cuda" else kind
    if wanted not in there:
        raise UsageError(
            f"this machine has no device {name!r}, only: {', '.join(there)}",
            where="device",
            remedy="write auto, or one of those",
        )
    return torch.device(wanted)


def _own_device(name: str, there: list[str]) -> torch.device:
    """The device of one of several processes: a GPU of its own, or the CPU."""
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(
            f"each of {current().size} processes needs a device of its own, but got {name!r}",
            where="device",
            remedy="write auto, cpu or cuda",
        )
    gpus = [each for each in there if each.startswith("cuda")]
    if name == "cpu" or (name == "auto" and not gpus):
        return torch.device("cpu")
    if launched_here() > len(gpus):
        raise UsageError(
            f"{launched_here()} processes were started here, but this machine has {len(gpus)} GPUs",
            where="device",
            remedy=f"start {len(gpus)} with --nproc-per-node, or write device: cpu" if gpus else "write device: cpu",
        )
    device = torch.device(gpus[own_index()])
    torch.cuda.set_device(device)
    return device


@contextlib.contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """cuDNN picks deterministic kernels inside, so that a run repeats bit for bit; nothing to do elsewhere."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        yield


def released(device: torch.device) -> None:
    """Give back what is kept of a device's memory for later: after it ran out, other sizes are asked for."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


@contextlib.contextmanager
def intra_threads(count: int) -> Iterator[None]:
    """So many torch threads inside, in the calling thread."""
    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def flushed_denormals() -> Iterator[None]:
    """Numbers too small for full precision (below about 1e-38) count as 0 inside, in the calling thread.

    A CPU takes far longer over such numbers, and the momentum of a unit that is never active decays into them.
    """
    before = not bool(torch.tensor(1e-39) * 1)  # there is no call that tells
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def math_attention() -> Any:
    """Attention by plain matrix products: the fused kernels go through vmap one sample at a time."""
    return sdpa_kernel(SDPBackend.MATH)
