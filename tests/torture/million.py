"""A run of a million updates of a tiny model: memory and time per update stay flat, nothing is missing at the end.

Usage: python -m tests.torture.million [UPDATES]
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.torture import forks

UPDATES = 1_000_000
#: MiB that memory may grow by after the warm-up, beyond what is recorded of each update.
GROWTH = 20.0
#: The part of the run that counts as warming up, and seconds between two looks.
WARM_UP, EVERY = 0.1, 0.25
#: Seconds that all plots may take.
DRAWN = 20.0
CONFIG = """\
name: long
model: {{kind: linear}}
data: {{kind: regression, samples: 64, batch_size: 16}}
optimizer: {{kind: sgd, lr: 0.01}}
schedule: {{kind: cosine}}
train: {{duration: {updates}, eval_every: {often}, checkpoint_every: {often}}}
"""


class Watch:
    """Looks at a process: its memory in MiB, and how many lines of metrics there are."""

    def __init__(self, pid: int, output: Path) -> None:
        self.pid, self.output = pid, output
        self.seen: list[tuple[float, float, int]] = []
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
            except OSError:
                return
            memory = next((line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")), None)
            if memory is not None:
                self.seen.append((time.perf_counter(), int(memory) / 1024, lines))

    def stop(self) -> None:
        """No more looks."""
        self._over.set()
        self._thread.join()


def main(updates: int = UPDATES) -> None:
    """Run; AssertionError where something is not flat, or missing."""
    forks.warm()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "c.yaml").write_text(CONFIG.format(updates=updates, often=updates // 20))
        process = forks.Forked(folder, ("train", "c.yaml", "--output", "out", "--quiet"))
        watch = Watch(process.pid, folder / "out")
        ended = process.ended(limit=3600)
        watch.stop()
        assert ended.code == 0, ended.said
        run = next((folder / "out").glob("*/2*"))
        rows = (run / "metrics.csv").read_bytes().count(b"\n") - 1
        assert rows == updates, f"metrics.csv has {rows:,} rows"
        _judged(watch, updates, run, process.began + ended.seconds)


def _judged(watch: Watch, updates: int, run: Path, end: float) -> None:
    training = [each for each in watch.seen if WARM_UP * updates < each[2] <= updates]
    assert len(training) > 10, "too short to judge"
    growth = max(memory for _, memory, _ in training) - training[0][1]
    # The trace is kept: of each update a loss, an LR and a time in double precision, twice as its arrays double.
    recorded = (training[-1][2] - training[0][2]) * 8 * 3 * 2 / 2**20
    half = next(at for at, each in enumerate(training) if each[2] >= updates / 2)
    early = (training[half][0] - training[0][0]) / (training[half][2] - training[0][2])
    late = (training[-1][0] - training[half][0]) / max(1, training[-1][2] - training[half][2])
    drawn = end - next(moment for moment, _, lines in watch.seen if lines > updates - 1)
    size = sum(path.stat().st_size for path in run.rglob("*") if path.is_file()) / 2**20
    print(
        f"{updates:,} updates: memory grew by {growth:.1f} MiB after the first {WARM_UP:.0%}, of which"
        f" {recorded:.1f} MiB are what is recorded of the updates; {early * 1e6:.0f} µs an update before the middle,"
        f" {late * 1e6:.0f} µs after it; metrics.csv complete; plots, summary and last checkpoint in {drawn:.1f} s;"
        f" {size:.0f} MiB on disk",
        flush=True,
    )
    assert growth - recorded <= GROWTH, "memory grows"
    assert drawn <= DRAWN, "the end takes long"
    if os.environ.get("LRTOOL_QUIET_MACHINE") == "1":
        assert late <= 1.3 * early, "updates become slower"


if __name__ == "__main__":
    main(*(int(each) for each in sys.argv[1:]))
