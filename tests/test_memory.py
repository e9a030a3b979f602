"""Freed memory stays with the process, and the collector can be left out."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap

import pytest

from lrtool.memory import without_collector

#: Takes and frees 40 MiB again and again, and prints how many new pages of memory that needed.
CODE = """
    import resource, sys
    import numpy as np
    from lrtool.memory import keep_freed_memory

    if sys.argv[1] == "keep" and not keep_freed_memory():
        sys.exit("no")

    def step():
        for block in [np.empty(5 * 2**20, np.uint8) for _ in range(8)]:
            block[:] = 1

    step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        step()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def new_pages(how: str) -> int | None:
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(CODE), how], capture_output=True, text=True)
    if done.returncode:
        assert done.stderr.strip() == "no"
        return None
    return int(done.stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="page faults are read from POSIX's getrusage")
def test_freed_memory_is_not_returned_and_taken_again() -> None:
    kept = new_pages("keep")
    if kept is None:
        pytest.skip("this C library cannot be told to keep memory")
    returned = new_pages("return")
    assert returned is not None
    assert kept < 200 < returned


def test_the_collector_is_afterwards_as_it_was() -> None:
    with pytest.raises(KeyError), without_collector():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()
    gc.disable()
    try:
        with without_collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
