"""SIGINT, SIGTERM and SIGHUP at random moments of every command: saved, gone within 5 s, and nothing left running.

What was stopped is then resumed, and must equal the undisturbed. Usage: python -m tests.torture.signals [EACH [SEED]]
"""

from __future__ import annotations

import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.torture import forks, kills, runs

#: Signals of each kind to each command.
EACH = 50
#: Seconds within which a command must have ended.
LIMIT = 5.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
COMMANDS: dict[str, tuple[str, ...]] = {
    "train": ("own-0.yaml",),
    "range-test": ("c.yaml", "--set", "data.kind=regression"),
    "tune": ("c.yaml", "--budget", "8x"),
    "sweep": ("grid.yaml",),
    "transfer": ("t.yaml", "--to", "train.duration=800", "--budget", "3x"),
}


def hears(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal by now (Linux)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    caught = next((int(line.split()[1], 16) for line in lines if line.startswith("SigCgt")), 0)
    return bool(caught >> (number - 1) & 1)


class Signals:
    """Stops one command, over and over."""

    def __init__(self, command: str, folder: Path, draw: random.Random) -> None:
        self.command, self.folder, self.draw = command, folder, draw
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0

    def run(self, each: int) -> str:
        """All signals; gives what to print. AssertionError where one is not heard as it should be."""
        began = time.perf_counter()
        whole = self._start("whole")
        ended = whole.ended()
        assert ended.code == 0, ended.said
        self.wanted, self.seconds = runs.content(runs.newest(self.folder / f"{self.command}-whole")), ended.seconds
        for number in SIGNALS:
            for count in range(each):
                self._stopped(number, f"{number.name}-{count}")
        said = ", ".join(f"{many} {what}" for what, many in sorted(self.counts.items()))
        return f"{self.command}: {said}; the slowest end took {self.slowest:.2f} s; {time.perf_counter() - began:.0f} s"

    def _start(self, name: str) -> forks.Forked:
        words = (self.command, *COMMANDS[self.command], "--output", f"{self.command}-{name}", "--quiet")
        return forks.Forked(self.folder, words, forks.without_plots)

    def _stopped(self, number: signal.Signals, name: str) -> None:
        process = self._start(name)
        while process.alive and not hears(process.pid, signal.SIGTERM):
            time.sleep(0.001)
        process.wait(self.draw.uniform(0, self.seconds))
        process.signal(number)
        sent = time.perf_counter()
        ended = process.ended(limit=LIMIT, grace=1.0)
        taken = time.perf_counter() - sent
        what = f"{self.command}, {number.name}: {ended.said}"
        assert ended.code is not None, f"{what}: still there after {LIMIT} s"
        assert not ended.left, f"{what}: it left {ended.left} running"
        run = kills.begun(self.folder / f"{self.command}-{name}")
        status = self._status(run)
        if ended.code == 0 or (status == "finished" and ended.code in (-number, 1)):
            # It came when all was done, as lrtool let go of its handlers.
            self.counts["came too late"] += 1
        else:
            assert ended.code == 128 + number and "Traceback" not in ended.err, what
            assert run is None or status in ("interrupted", "finished", ""), f"{what}: its status is {status}"
            self.slowest = max(self.slowest, taken)
            self.counts[f"stopped by {number.name}"] += 1
        if run is not None and self.command != "transfer":
            self._equal(run, what)

    def _status(self, run: Path | None) -> str:
        import json

        if run is None or not (run / "summary.json").exists():
            return ""
        return str(json.loads((run / "summary.json").read_bytes())["status"])

    def _equal(self, run: Path, what: str) -> None:
        ended = forks.run(self.folder, self.command, "--resume", run, "--quiet", before=forks.without_plots)
        found: dict[str, Any] = runs.content(run)
        differ = [name for name, value in self.wanted.items() if found.get(name) != value]
        assert ended.code == 0 and not differ, f"{what}; resumed: {ended.said}; {differ} differ"


def main(each: int = EACH, seed: int = 0) -> None:
    """Run; what is not as it should be ends it with a traceback."""
    forks.warm()
    with tempfile.TemporaryDirectory() as name:
        kills.write_configs(Path(name))
        for command in COMMANDS:
            print(Signals(command, Path(name), random.Random(f"{command} {seed}")).run(each), flush=True)


if __name__ == "__main__":
    main(*(int(each) for each in sys.argv[1:]))
