"""What a process does with memory: what was freed is kept, and nobody looks for garbage where there is none."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

#: Bytes that are held of an update: its loss, LR, seconds and the LR's table, at least.
_PER_UPDATE = 4 * 8
#: glibc's names of its settings (malloc.h), and what they are set to, in bytes.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 512 * 2**20
#: The most that glibc takes: blocks beyond this are returned at once, whatever is said.
_LARGEST = 32 * 2**20


def keep_freed_memory() -> bool:
    """Keep freed memory (up to 512 MiB) for what is needed next; whether the C library can be told so.

    glibc gives it back to the system and takes it again, page by page and zeroed. Every update of a stack of models
    frees and needs the same tens of MiB, and for a stack of CNNs that was a third of the time. It concerns the whole
    process and cannot be undone, so it is for processes that are lrtool's own.

    Source: mallopt(3).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return False  # not glibc
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST) and mallopt(_TRIM_THRESHOLD, _KEPT))


def physical_memory() -> int | None:
    """Bytes of memory in this machine; None where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def most_updates() -> int | None:
    """Updates of which this machine's memory holds what is recorded; None where it does not say how much it has."""
    room = physical_memory()
    return room // _PER_UPDATE if room is not None else None


@contextmanager
def without_collector() -> Iterator[None]:
    """Inside, Python does not look for cyclic garbage: for work that makes very many objects, none of them cyclic.

    The collector walks over all of them again and again. With it, `lrtool compare` on a sweep of 10,000 trials takes
    14% longer (processor time; medians of 20 runs each way, of the sweeps in tests/benchmarks/compare_speed.py).
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
