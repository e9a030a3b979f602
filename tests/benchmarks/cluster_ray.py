"""A sweep of 360 trials on a two-node Ray cluster of this machine, whose nodes and whose driver are killed.

Wanted: results equal to the local executor's, trial by trial and bit by bit; after 10 random node kills no trial lost
or recorded twice; after 10 kills of the driver, each time resumed, the same, and no recorded trial trained again.
Printed besides: what a group of trials costs on top of its training. Usage: cluster_ray.py [KILLS [SEED
[nodes|driver]]]. Without Ray it says so and does nothing.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrtool.runs.sweep.store import StoredTrial

HERE = Path(__file__).parent
for needed in (HERE / "support", HERE.parent / "executors", HERE.parents[1]):
    sys.path.insert(0, str(needed))

#: Of the sweep: 2 schedules × 15 LRs × 6 seeds, stacked and one by one.
LRS, SEEDS = 15, 6
#: Jobs that do nothing, for what each costs.
EMPTY = 200
#: Seconds after which something has gone wrong.
LIMIT = 3600.0


def overhead(address: str) -> None:
    """Print what a job costs that has nothing to do."""
    import executor_work as work

    from lrtool.executors import Requirements, asked_for

    said = []
    for name in ("ray", "local"):
        with asked_for(name, 2, Requirements(address=address)) as executor:
            executor.run(work.square, range(4), lambda result: None, print)
            began = time.perf_counter()
            executor.run(work.square, range(EMPTY), lambda result: None, print)
            said.append(f"{name} {(time.perf_counter() - began) / EMPTY * 1000:.1f} ms")
    print(f"overhead of a group with nothing to train, two at a time, {EMPTY} of them: {', '.join(said)}", flush=True)


def killed_driver(folder: Path, file: Path, address: str, kills: int, draw: random.Random) -> tuple[Path, int]:
    """One sweep whose driver is killed so often; gives its folder, and how many kills came while it recorded."""
    from lrtool.runs.sweep.store import read_trials

    environment = {**os.environ, "RAY_ADDRESS": address, "PYTHONPATH": str(HERE.parents[1])}
    command = [sys.executable, "-m", "lrtool", "sweep"]
    latest, left, known, midway = folder / "killed" / "s" / "latest", kills, {}, 0
    arguments: list[object] = [file, "--output", folder / "killed"]
    while True:
        running = subprocess.Popen([*command, *map(str, arguments), "--executor", "ray", "--quiet"], env=environment,
                                   stdout=subprocess.DEVNULL)  # fmt: skip
        stop, ended = len(known) + draw.randint(1, max(1, (4 * LRS * SEEDS - len(known)) // (left + 1))), False
        limit = time.monotonic() + LIMIT
        while time.monotonic() < limit and not ended:
            ended = running.poll() is not None
            if left and latest.exists() and counted(latest) >= stop:
                break
            time.sleep(0.1)
        if ended:
            assert running.returncode == 0, f"it ended with {running.returncode}"
            return latest.resolve(), midway
        running.send_signal(signal.SIGKILL)
        running.wait()
        left, midway = left - 1, midway + 1
        now = {trial.number: trial for trial in read_trials(latest)}
        repeated = [number for number, trial in known.items() if now[number].seconds != trial.seconds]
        assert not repeated, f"trained again: {repeated}"
        known, arguments = now, ["--resume", latest.resolve()]


def counted(run: Path) -> int:
    """How many trials are recorded."""
    from lrtool.errors import LrtoolError
    from lrtool.runs.sweep.store import read_trials

    try:
        return len(read_trials(run))
    except LrtoolError:
        return 0


def killed_nodes(folder: Path, file: Path, nodes: Any, kills: int, draw: random.Random) -> list[StoredTrial]:
    """One sweep whose nodes are killed so often, at random moments; others join in their place."""
    from cluster_sweep import Counting, swept

    moments, killed = sorted(draw.sample(range(2, 4 * LRS * SEEDS - 5), kills)), []

    def kill(count: int) -> None:
        if moments and count >= moments[0]:
            moments.pop(0)
            killed.append(count)
            nodes.replace(draw.randrange(2))

    began = time.perf_counter()
    trials = swept(file, folder / "nodes", Counting(kill), executor="ray", ray_address=nodes.address)
    took = time.perf_counter() - began
    print(
        f"{len(killed)} nodes killed, after {', '.join(map(str, killed))} trials: {took:.0f} s, none lost, none twice"
    )
    return trials


def main(kills: int = 10, seed: int = 0, part: str = "all") -> None:
    """Everything, one after the other, or of what is killed only the nodes or the driver."""
    from cluster_sweep import Counting, equal, swept, write
    from ray_nodes import Nodes

    from lrtool.runs.sweep.store import read_trials

    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as made, Nodes() as nodes:
        folder = Path(made)
        file = write(folder, LRS, SEEDS)
        overhead(nodes.address)
        began = time.perf_counter()
        whole = swept(file, folder / "local", Counting(), executor="local", workers=2)
        local, began = time.perf_counter() - began, time.perf_counter()
        equal(swept(file, folder / "ray", Counting(), executor="ray", ray_address=nodes.address), whole)
        trained = sum(trial.seconds for trial in whole)
        print(f"{len(whole)} trials ({trained:.0f} s of training): local {local:.0f} s, Ray"
              f" {time.perf_counter() - began:.0f} s; equal trial by trial", flush=True)  # fmt: skip
        if part in ("all", "nodes"):
            equal(killed_nodes(folder, file, nodes, kills, draw), whole)
            print("equal after the nodes' deaths", flush=True)
        if part in ("all", "driver"):
            began = time.perf_counter()
            run, midway = killed_driver(folder, file, nodes.address, kills, draw)
            equal(read_trials(run), whole)
            print(f"driver killed {midway} times and resumed: {time.perf_counter() - began:.0f} s, no recorded trial"
                  " trained again, equal", flush=True)  # fmt: skip


if __name__ == "__main__":
    if find_spec("ray") is None:
        sys.exit(print("not run: Ray is not installed (pip install 'lrtool[ray]')"))
    main(*map(int, sys.argv[1:3]), *sys.argv[3:4])
