"""A Ray cluster of this machine for the kills: in a process of its own, as what forks must have no threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.torture.support.parts import ROOT

#: Seconds within which a cluster must be there, and be gone.
LIMIT = 180.0
_LIFE = """\
import sys
from tests.executors.ray_nodes import Nodes
with Nodes() as nodes:
    print("ADDRESS", nodes.address, flush=True)
    sys.stdin.read()
"""


@contextmanager
def started(folder: Path) -> Iterator[str]:
    """A head without CPUs and two nodes with one each, until this is left; gives its address."""
    # What workers remember of speeds is no other run's.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "ray-cache")}
    with (folder / "ray.log").open("w") as log:
        life = subprocess.Popen(
            [sys.executable, "-c", _LIFE], cwd=ROOT, env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
        late = threading.Timer(LIMIT, life.kill)
        late.start()
        try:
            assert life.stdout is not None and life.stdin is not None
            address = next((line.split()[1] for line in life.stdout if line.startswith("ADDRESS")), None)
            late.cancel()
            assert address is not None, f"no cluster: {(folder / 'ray.log').read_text()[-2000:]}"
            yield address
        finally:
            late.cancel()
            life.stdin.close()  # type: ignore[union-attr]
            try:
                life.wait(LIMIT)
            except subprocess.TimeoutExpired:
                life.kill()
                life.wait()


def at_once() -> None:
    """Called in a child: that the address is that of a cluster need not be found out by a process of its own."""
    from lrtool.executors import ray_cluster

    assert hasattr(ray_cluster, "_check_answers")
    ray_cluster._check_answers = lambda *_: None
