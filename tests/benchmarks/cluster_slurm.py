"""A sweep under submitit's imitation of Slurm, whose jobs are preempted 10 times.

Wanted: results equal to the local executor's, trial by trial and bit by bit, none lost or recorded twice. Printed
besides: what an array element costs. Usage: cluster_slurm.py [PREEMPTIONS [SEED]]; Linux. Without submitit it says so
and does nothing.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
for needed in (HERE / "support", HERE.parent / "executors", HERE.parents[1]):
    sys.path.insert(0, str(needed))

#: Of the sweep: 2 schedules × 6 LRs × 3 seeds, stacked and one by one.
LRS, SEEDS = 6, 3


def main(preemptions: int = 10, seed: int = 0) -> None:
    """Undisturbed, then preempted."""
    import executor_work as work
    from cluster_sweep import Counting, equal, swept, write
    from slurm_jobs import MARK, jobs, preempt

    from lrtool.executors import Requirements, asked_for

    path = os.pathsep.join([str(HERE.parents[1]), str(HERE.parent / "executors")])
    os.environ.update({MARK: str(os.getpid()), "PYTHONPATH": path})
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        file = write(folder, LRS, SEEDS)
        began = time.perf_counter()
        with asked_for("slurm", 1, Requirements(imitation=True, folder=folder / "empty")) as executor:
            executor.run(work.square, range(4), lambda result: None, print)
        print(f"an array element with nothing to train: {(time.perf_counter() - began) / 4:.1f} s", flush=True)
        whole = swept(file, folder / "local", Counting(), executor="local", workers=2)
        moments, preempted = sorted(draw.sample(range(1, len(whole) - 5), preemptions)), []

        def take_a_node(count: int) -> None:
            if moments and count >= moments[0] and (running := jobs(os.getpid())):
                moments.pop(0)
                preempted.append(count)
                preempt(draw.choice(running))

        began = time.perf_counter()
        options = {"executor": "slurm", "workers": 2, "slurm_cluster": "local"}
        equal(swept(file, folder / "slurm", Counting(take_a_node), **options), whole)
        print(
            f"{len(whole)} trials, preempted {len(preempted)} times (after {', '.join(map(str, preempted))} trials)"
            f" in {time.perf_counter() - began:.0f} s: none lost, none twice, equal to local",
            flush=True,
        )
    if len(preempted) < preemptions:
        sys.exit("too few: the others came when no element ran")


if __name__ == "__main__":
    if find_spec("submitit") is None:
        sys.exit(print("not run: submitit is not installed (pip install 'lrtool[slurm]')"))
    main(*map(int, sys.argv[1:]))
