"""All of it, two parts at a time: `python -m tests.torture [PART…] [--scale 0.1] [--jobs 2]`.

PART is the beginning of a part's name, such as `kills` or `kills: sweep`; `--list` says what there is. The table at the
end has a line for every part: the promise, what came of it, how much was tried, and the seconds by the clock and of
processors.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from tests.torture.campaigns import damage, disks, full, inputs, kills, million, names, signals, values, workers
from tests.torture.support import failing_disk, forks
from tests.torture.support.parts import Part, Shown

MODULES = (damage, kills, workers, signals, disks, full, names, million, inputs, values)


@dataclass(frozen=True)
class Result:
    """What came of a part: what it has shown, or its traceback; seconds by the clock, and of processors."""

    shown: Shown | None
    failure: str
    seconds: float
    worked: float


def everything(scale: float) -> list[Part]:
    """Every part, the longest first, so that two at a time end at about the same moment."""
    found = [part for module in MODULES for part in module.parts(scale)]
    return sorted(found, key=lambda part: -part.minutes)


class Running:
    """A part that runs in a child, which is as warm as this process."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.connection, far = multiprocessing.Pipe(duplex=False)
        self.process = multiprocessing.get_context("fork").Process(target=_live, args=(part, far))
        self.process.start()
        far.close()

    def result(self) -> Result:
        """What came of it; it has ended, or is about to."""
        try:
            found: Result = self.connection.recv()
        except EOFError:
            found = Result(None, "its process died", 0.0, 0.0)
        self.process.join()
        return found

    def kill(self) -> None:
        """End it."""
        self.process.kill()
        self.process.join()


def _live(part: Part, connection: Connection) -> None:
    shown, failure, began = None, "", time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True) as name:
            os.chdir(name)
            shown = part.show(Path(name).resolve())
    except (Exception, SystemExit):
        failure = traceback.format_exc()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    worked = sum(each.ru_utime + each.ru_stime for each in used)
    connection.send(Result(shown, failure, time.perf_counter() - began, worked))


def carried_out(chosen: Sequence[Part], jobs: int) -> list[tuple[Part, Result]]:
    """Every part, so many at a time; what comes of each is said at once."""
    waiting, running, done = deque(chosen), dict[Any, Running](), []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                one = Running(waiting.popleft())
                running[one.connection] = one
            for connection in wait([*running]):
                one = running.pop(connection)
                result = one.result()
                done.append((one.part, result))
                said = result.shown.figure if result.shown is not None else f"FAILED\n{result.failure}"
                print(f"{one.part.name}: {said} ({result.seconds:.0f} s)", flush=True)
    finally:
        for one in running.values():
            one.kill()
    return done


def table(done: Sequence[tuple[Part, Result]]) -> str:
    """In Markdown, the parts of one promise together."""
    lines = ["| promise | part | what came of it | tried | seconds | of processors |", "|---|---|---|---|---|---|"]
    for part, result in sorted(done, key=lambda each: each[0].name):
        figure, size = (result.shown.figure, result.shown.size) if result.shown is not None else ("FAILED", "")
        cells = [part.promise, part.name, figure, size, f"{result.seconds:.0f}", f"{result.worked:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="PART", help="the beginning of a part's name; none: all")
    parser.add_argument("--scale", type=float, default=1.0, help="this part of all that is tried")
    parser.add_argument("--jobs", type=int, default=2, help="parts at a time")
    parser.add_argument("--list", action="store_true", help="say which parts there are")
    given = parser.parse_args(arguments)
    parts = everything(given.scale)
    unknown = [name for name in given.names if not any(part.name.startswith(name) for part in parts)]
    if unknown:
        parser.error(f"no part's name begins with {unknown[0]!r}; --list says which there are")
    chosen = [part for part in parts if not given.names or part.name.startswith(tuple(given.names))]
    if given.list:
        print("\n".join(sorted(part.name for part in chosen)))
        return 0
    if any(part.name.startswith("disks") for part in chosen):
        failing_disk.begin_again_with_it()
    failing_disk.forget()
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    began = time.perf_counter()
    forks.warm()
    done = carried_out(chosen, given.jobs)
    failed = [part.name for part, result in done if result.failure]
    print(f"\n{table(done)}\n\n{len(done)} parts, {(time.perf_counter() - began) / 60:.1f} minutes")
    if failed:
        print(f"FAILED: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
