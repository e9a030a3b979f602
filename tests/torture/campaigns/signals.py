"""SIGINT, SIGTERM and SIGHUP at random moments of every command: saved, gone within 5 s, and nothing left running.

What was stopped is then resumed, and must equal the undisturbed; a command that only reads is run again. A `transfer`
plans by the times that it measures, so of two none need be equal: it must end.
"""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from tests.torture.campaigns import kills
from tests.torture.support import forks, runs
from tests.torture.support.parts import Part, Shown, scaled

#: Signals of each kind to each command.
EACH = 50
#: Seconds within which a command must have ended.
LIMIT = 5.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: What is stopped. OUT stands for where results go, MADE for a sweep that was made before.
COMMANDS: dict[str, tuple[str, ...]] = {
    "train": ("train", "own-0.yaml", "--output", "OUT"),
    "train, 2 workers": ("train", "own-2.yaml", "--output", "OUT"),
    "range-test": ("range-test", "c.yaml", "--set", "data.kind=regression", "--output", "OUT"),
    "tune": ("tune", "c.yaml", "--budget", "8x", "--output", "OUT"),
    "sweep": ("sweep", "grid.yaml", "--output", "OUT"),
    "sweep, in several processes": ("sweep", "grid.yaml", "--executor", "local", "--output", "OUT"),
    "transfer": (
        "transfer",
        "t.yaml",
        "--to",
        "train.duration=800",
        "--engine",
        "loop",
        "--budget",
        "3x",
        "--output",
        "OUT",
    ),
    "compare": ("compare", "MADE", "--output", "OUT"),
    "report": ("report", "MADE", "--output", "OUT/report.html"),
}
#: Commands that only read, and about the minutes that each part takes.
READS = ("compare", "report")
MINUTES = {"tune": 6.0, "transfer": 8.0}


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

    def __init__(self, name: str, folder: Path, draw: random.Random) -> None:
        self.name, self.folder, self.draw = name, folder, draw
        self.command, *self.given = COMMANDS[name]
        self.trains = self.command not in READS
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0

    def run(self, each: int) -> Shown:
        """All signals. AssertionError where one is not heard as it should be."""
        self.made = str(runs.made(self.folder, "sweep", "made")) if not self.trains else ""
        ended = self._start("whole").ended()
        assert ended.code == 0, ended.said
        self.wanted = self._found(self.folder / f"{self.command}-whole") if self.command != "transfer" else {}
        self.seconds = ended.seconds
        for number in SIGNALS:
            for count in range(each):
                self._stopped(number, f"{number.name}-{count}")
        said = ", ".join(f"{many} {what}" for what, many in sorted(self.counts.items()))
        resumed = "all resumed equal" if self.wanted and self.trains else "all ended when they were gone on with"
        resumed = resumed if self.trains else "all equal when run again"
        figure = f"{said}; the slowest end took {self.slowest:.2f} s, nothing was left running, {resumed}"
        return Shown(f"{each * len(SIGNALS)} signals", figure)

    def _start(self, name: str) -> forks.Forked:
        place = f"{self.command}-{name}"
        words = [word.replace("OUT", place).replace("MADE", self.made) for word in self.given]
        if self.trains:
            return forks.Forked(self.folder, (self.command, *words, "--quiet"), kills.quick)
        # These do little else than draw.
        (self.folder / place).mkdir(exist_ok=True)
        return forks.Forked(self.folder, (self.command, *words))

    def _found(self, output: Path) -> dict[str, Any]:
        """What a command left."""
        if self.trains:
            return runs.content(runs.newest(output))
        return {str(path.relative_to(output)): path.stat().st_size > 0 for path in output.rglob("*") if path.is_file()}

    def _stopped(self, number: signal.Signals, name: str) -> None:
        process = self._start(name)
        while process.alive and not hears(process.pid, signal.SIGTERM):
            time.sleep(0.001)
        process.wait(self.draw.uniform(0, self.seconds))
        process.signal(number)
        sent = time.perf_counter()
        ended = process.ended(limit=LIMIT, grace=1.0)
        taken = time.perf_counter() - sent
        what = f"{self.name}, {number.name}: {ended.said}"
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
        self._equal(run, name, what)

    def _status(self, run: Path | None) -> str:
        if run is None or not (run / "summary.json").exists():
            return ""
        return str(json.loads((run / "summary.json").read_bytes())["status"])

    def _equal(self, run: Path | None, name: str, what: str) -> None:
        """Go on, or begin again where it only reads: the result is that of the undisturbed, and nothing lies aside."""
        output = self.folder / f"{self.command}-{name}"
        if self.trains:
            if run is None:
                return
            words = (self.command, "--resume", run, "--quiet")
            ended = forks.run(self.folder, *words, before=forks.without_plots)
            found: dict[str, Any] = runs.content(run)
        else:
            ended = self._start(name).ended()
            found = self._found(output)
        differ = [key for key, value in self.wanted.items() if found.get(key) != value]
        assert ended.code == 0 and not differ, f"{what}; then: {ended.said}; {differ} differ"
        assert not [*output.rglob(".*.part")], f"{what}: something is left half written"


def parts(scale: float) -> list[Part]:
    """One for every command."""
    promise = "a signal saves and ends within 5 s"
    return [
        Part(f"signals: {name}", promise, partial(_shown, name, scaled(EACH, scale)), MINUTES.get(name, 4.0))
        for name in COMMANDS
    ]


def _shown(command: str, each: int, folder: Path) -> Shown:
    kills.write_configs(folder)
    return Signals(command, folder, random.Random(command)).run(each)
