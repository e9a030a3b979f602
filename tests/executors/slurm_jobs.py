"""The array elements of submitit's imitation of Slurm, for a test to take their nodes away as a scheduler does."""

import os
import signal
from pathlib import Path

#: An environment variable by which elements are told from those of other tests.
MARK = "LRTOOL_TEST"
#: Whether they can be found.
FOUND = Path("/proc/self/environ").exists()


def jobs(mark):
    """The processes of the elements whose environment has this value of MARK."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            about = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "submitit.core._submit" in words and f"{MARK}={mark}" in about:
            found.append(int(entry.name))
    return sorted(found)


def preempt(pid):
    """Ask for the node of an element."""
    os.kill(pid, signal.SIGUSR2)
