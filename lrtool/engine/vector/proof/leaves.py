"""Values without parts (numbers, tensors, files and the like), each as something comparable."""

from __future__ import annotations

import array
import ctypes
import datetime
import decimal
import enum
import fractions
import hashlib
import logging
import mmap
import re
import struct
import threading
import types
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrtool.engine.private import changes_in_place, is_stateless_class

#: Stands for a value that is not there.
UNREAD = ...
#: Bytes from which a tensor is compared by a sample of its values and by how often it was changed in place.
_LARGE = 2**20
_SAMPLE = 2**14

_EXACT = frozenset((int, str, bytes, bool, type(None), type(...), type(NotImplemented), range, complex))
#: What its text says all about.
_TOLD = (
    *(torch.dtype, torch.device, torch.layout, torch.memory_format, decimal.Decimal, fractions.Fraction),
    *(datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo, re.Pattern, struct.Struct),
)
#: What keeps no state that a result could depend on, or none that can be read at all.
_STATELESS = (
    logging.Logger,
    type(threading.Lock()),
    type(threading.RLock()),
    types.CodeType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    np.ufunc,
)


def atom(value: Any) -> Any:
    """A plain value, such as a number or a string, as something comparable; None for anything else."""
    kind = type(value)
    if kind is float:
        # Two NaNs are the same value here, 0 and −0 are not.
        return kind, repr(value)
    if kind in _EXACT:
        return kind, value
    return None


def leaf(value: Any) -> Any:
    """Any other value without parts, as something comparable; None for what has parts or is not known."""
    kind = type(value)
    if isinstance(value, enum.Enum):
        return kind.__qualname__, value.name
    if isinstance(value, int | float | complex | str | bytes):
        return kind.__qualname__, repr(value)
    if isinstance(value, np.generic):
        return kind.__qualname__, value.tobytes()
    if isinstance(value, _TOLD):
        return kind.__qualname__, repr(value)
    if isinstance(value, torch.Generator):
        return kind.__qualname__, digest(value.get_state())
    if isinstance(value, bytearray | memoryview | array.array | mmap.mmap):
        return kind.__qualname__, hashlib.blake2b(bytes(memoryview(value))).hexdigest()
    if isinstance(value, ctypes._SimpleCData | ctypes.Structure | ctypes.Array | ctypes.Union):
        return kind.__qualname__, bytes(value)
    if kind.__module__ in ("_hashlib", "_blake2", "_sha1", "_sha2", "_sha3", "_md5"):
        return kind.__qualname__, _digest_so_far(value)
    if isinstance(value, _STATELESS) or is_stateless_class(kind):
        return kind.__qualname__, "stateless"
    return None


def digest(values: Tensor | np.ndarray[Any, Any]) -> Any:
    """The same for the same content; of large tensors a sample is read."""
    if isinstance(values, Tensor):
        return _tensor_digest(values)
    return hashlib.blake2b(np.ascontiguousarray(values).tobytes()).hexdigest()


def _tensor_digest(tensor: Tensor) -> Any:
    try:
        with torch.no_grad():
            flat = tensor.detach().reshape(-1)
            version: int | None = None
            if flat.numel() * flat.element_size() > _LARGE:
                flat, version = flat[:: 1 + flat.numel() // _SAMPLE], changes_in_place(tensor)
            content = flat.cpu().contiguous().resolve_conj().resolve_neg().view(torch.uint8).numpy()
            return version, hashlib.blake2b(content.tobytes()).hexdigest()
    except Exception:
        # Sparse, nested, on no device, or left over from a transform.
        return "unreadable", tensor.layout


def _digest_so_far(value: Any) -> Any:
    found = value.hexdigest
    try:
        return found()
    except TypeError:
        return found(16)
