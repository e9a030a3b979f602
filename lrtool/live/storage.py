"""Copies of tensors that take no room on an accelerator: in the machine's memory, or in files."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from lrtool.errors import UsageError

_LOG = logging.getLogger("lrtool")

Where = Literal["auto", "cpu", "disk"]

#: The part of the memory that is free which copies may take before they go to files.
_PART = 0.5


@dataclass
class KeptTensor:
    """A tensor, and a copy of what it held when it was kept."""

    tensor: Tensor
    copy: Tensor

    def put_back(self) -> Tensor:
        """Make the tensor hold what it held then; it stays the same object, with the same storage."""
        with torch.no_grad():
            if self.tensor.shape != self.copy.shape or self.tensor.dtype != self.copy.dtype:
                self.tensor.data = self.copy.to(self.tensor.device)
                return self.tensor
            try:
                self.tensor.copy_(self.copy)
            except RuntimeError:
                # An expanded tensor, whose places share memory, cannot be written to as it is.
                self.tensor.data = self.copy.to(self.tensor.device, copy=True)
        return self.tensor


class TensorStorage:
    """Keeps copies of tensors, each once: in memory, or where that is short (or "disk" is asked for) in files.

    `size`: bytes that will be kept, as far as that is known. `close` removes the files.
    """

    def __init__(self, where: Where = "auto", size: int = 0) -> None:
        if where not in ("auto", "cpu", "disk"):
            raise UsageError(f"copies are kept on auto, cpu or disk, but got {where!r}", where="keep")
        free = free_memory()
        self.on_disk = where == "disk" or (where == "auto" and free is not None and size > _PART * free)
        self._kept: dict[int, KeptTensor] = {}
        self._folder: Path | None = None
        self._remove: weakref.finalize[..., TensorStorage] | None = None
        if self.on_disk:
            self._folder = Path(tempfile.mkdtemp(prefix="lrtool-kept-"))
            self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
            _LOG.info("the state (%d MiB) is kept in files below %s", size // 2**20, self._folder)

    def keep(self, tensor: Tensor) -> KeptTensor:
        """A copy of the tensor as it is now; of the same tensor it is the same copy."""
        if id(tensor) not in self._kept:
            copy = self._to_file(tensor) if self.on_disk else tensor.detach().to("cpu", copy=True)
            self._kept[id(tensor)] = KeptTensor(tensor, copy)
        return self._kept[id(tensor)]

    def close(self) -> None:
        """Let go of all copies."""
        self._kept.clear()
        if self._remove is not None:
            self._remove()

    def _to_file(self, tensor: Tensor) -> Tensor:
        """A copy whose memory is a file, which the system reads and writes as it needs to."""
        plain = tensor.detach()
        size = plain.numel() * plain.element_size()
        if not size or plain.layout is not torch.strided:
            return plain.to("cpu", copy=True)
        assert self._folder is not None
        path = self._folder / f"{len(self._kept)}.bin"
        kept = torch.from_file(str(path), shared=True, size=size, dtype=torch.uint8)
        copy = kept.view(plain.dtype).reshape(plain.shape)
        copy.copy_(plain)
        return copy


def bytes_of(tensors: list[Tensor]) -> int:
    """Bytes of some tensors, each counted once."""
    return sum(t.numel() * t.element_size() for t in {id(t): t for t in tensors}.values())


def free_memory() -> int | None:
    """Bytes of memory that programs can still have; None where the system does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None
