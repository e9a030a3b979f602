"""A run of a million updates of a tiny model: memory and time per update stay flat, nothing is missing at the end."""

from __future__ import annotations

import os
import threading
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.torture.support import forks
from tests.torture.support.parts import Part, Shown, scaled

UPDATES = 1_000_000
#: MiB that memory may grow by after the warm-up, beyond what is recorded of each update.
GROWTH = 20.0
#: The part of the run that counts as warming up, and seconds between two looks.
WARM_UP, EVERY = 0.1, 0.25
#: Seconds of a processor that all plots may take, and times that a later update may take longer than an early one.
DRAWN, SLOWER = 20.0, 1.3
CONFIG = """\
name: long
model: {{kind: linear}}
data: {{kind: regression, samples: 64, batch_size: 16}}
optimizer: {{kind: sgd, lr: 0.01}}
schedule: {{kind: cosine}}
train: {{duration: {updates}, eval_every: {often}, checkpoint_every: {often}}}
"""


class Look(NamedTuple):
    """What a process has at a moment: seconds of processors that it has used, MiB of memory, lines of metrics."""

    worked: float
    memory: float
    lines: int


class Watch:
    """Looks at a process, again and again."""

    def __init__(self, pid: int, output: Path) -> None:
        self.pid, self.output = pid, output
        self.seen: list[Look] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        lines, at = 0, 0
        while not self._over.wait(EVERY):
            metrics = next(self.output.glob("*/2*/metrics.csv"), None)
            if metrics is not None:
                with metrics.open("rb") as file:
                    file.seek(at)
                    data = file.read()
                lines, at = lines + data.count(b"\n"), at + len(data)
            try:
                status = Path(f"/proc/{self.pid}/status").read_text()
                stat = Path(f"/proc/{self.pid}/stat").read_text()
            except OSError:
                return
            memory = next((line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")), None)
            if memory is not None:
                self.seen.append(Look(_worked(stat), int(memory) / 1024, lines))

    def stop(self) -> None:
        """No more looks."""
        self._over.set()
        self._thread.join()


def _worked(stat: str) -> float:
    """Seconds that a process has used, of which no other one takes any (Linux)."""
    # pid (name) state …: its times are the 12th and 13th after the name, which may have blanks and brackets.
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def parts(scale: float) -> list[Part]:
    """The one run."""
    return [Part("million", "a long run stays flat", partial(_shown, scaled(UPDATES, scale)), 10.0)]


def _shown(updates: int, folder: Path) -> Shown:
    (folder / "c.yaml").write_text(CONFIG.format(updates=updates, often=max(1, updates // 20)))
    process = forks.Forked(folder, ("train", "c.yaml", "--output", "out", "--quiet"))
    watch = Watch(process.pid, folder / "out")
    ended = process.ended(limit=3600)
    watch.stop()
    assert ended.code == 0, ended.said
    run = next((folder / "out").glob("*/2*"))
    rows = (run / "metrics.csv").read_bytes().count(b"\n") - 1
    assert rows == updates, f"metrics.csv has {rows:,} rows"
    return Shown(f"{updates:,} updates", _judged(watch.seen, updates))


def _judged(seen: list[Look], updates: int) -> str:
    """What was seen, in words. AssertionError where it is not flat."""
    training = [each for each in seen if WARM_UP * updates < each.lines <= updates]
    assert len(training) > 10, "too short to judge"
    growth = max(each.memory for each in training) - training[0].memory
    # The trace is kept: of each update a loss, an LR and a time in double precision, twice as its arrays double.
    recorded = (training[-1].lines - training[0].lines) * 8 * 3 * 2 / 2**20
    half = next(at for at, each in enumerate(training) if each.lines >= updates / 2)
    early, late = (
        (last.worked - first.worked) / max(1, last.lines - first.lines)
        for first, last in ((training[0], training[half]), (training[half], training[-1]))
    )
    drawn = seen[-1].worked - next(each.worked for each in seen if each.lines > updates - 1)
    assert growth - recorded <= GROWTH, f"memory grows by {growth:.1f} MiB"
    assert drawn <= DRAWN, f"the end takes {drawn:.1f} s"
    assert late <= SLOWER * early, f"updates become slower: {early * 1e6:.0f} µs, then {late * 1e6:.0f} µs"
    return (
        f"memory grew by {growth:.1f} MiB after the first {WARM_UP:.0%} (the losses, LRs and times of these updates:"
        f" {recorded:.1f} MiB); {early * 1e6:.0f} µs an update before the middle, {late * 1e6:.0f} µs after it;"
        f" metrics.csv complete; plots, summary and last checkpoint in {drawn:.1f} s"
    )
