"""Small runs of every command, whole, killed and stopped half-way; and what a run folder says, to be compared."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.torture.support import forks

CONFIG = """\
name: small
model: {kind: mlp, hidden: [8], dropout: 0.1}
data: {kind: spirals, samples: 120, batch_size: 24}
optimizer: {kind: sgd, lr: 0.3, momentum: 0.9}
schedule: {kind: constant, warmup: 4}
train: {duration: 32, eval_every: 4, checkpoint_every: 4}
range_test: {start: 1e-4, end: 100, steps: 60, seeds: 3, probe_steps: 0}
"""
SWEEP = "base: c.yaml\ngrid: {optimizer.lr: {log: [0.01, 1], points: 3}, seed: 2}\n"
TRANSFER = CONFIG.replace("duration: 32", "duration: 80").replace("name: small", "name: moved")
#: What each command is given, besides where its results go.
ARGUMENTS: dict[str, tuple[object, ...]] = {
    "train": ("c.yaml",),
    "range-test": ("c.yaml", "--set", "data.kind=regression"),
    "tune": ("c.yaml",),
    "transfer": ("t.yaml", "--to", "train.duration=800", "--engine", "loop", "--budget", "3x"),
    "sweep": ("s.yaml",),
}
#: Of a summary, what differs between two equal runs.
_TIMES = frozenset({"seconds", "validation_share", "speed", "cost", "continued", "lr_from", "engine"})


def write_configs(folder: Path) -> None:
    """The configs of all commands, and folders of their own for what lrtool remembers."""
    (folder / "c.yaml").write_text(CONFIG)
    (folder / "s.yaml").write_text(SWEEP)
    (folder / "t.yaml").write_text(TRANSFER)
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        os.environ[name] = str(folder / name.lower())


def newest(output: Path) -> Path:
    """The newest run below an output folder."""
    return max((path for path in output.glob("*/2*") if path.is_dir()), key=lambda path: path.name).resolve()


def made(folder: Path, command: str, output: str, stop: Callable[[], Any] | None = None) -> Path:
    """A run of a command; `stop` is called in its process first. Gives its folder."""
    ended = forks.run(
        folder, command, *ARGUMENTS[command], "--output", output, "--quiet", before=lambda: _prepared(stop)
    )
    if stop is None and ended.code:
        raise AssertionError(f"{command} failed: {ended.said}")
    return newest(folder / output)


def _prepared(stop: Callable[[], Any] | None) -> None:
    forks.without_plots()
    if stop is not None:
        stop()


def killed_at(command: str, count: int, number: int = signal.SIGKILL) -> Callable[[], None]:
    """Has a process send itself a signal once it has saved, or recorded, so often."""

    def install() -> None:
        from lrtool.engine.loop import checkpoint
        from lrtool.experiments.resuming.search_memory import SearchMemory
        from lrtool.runs.sweep.store import SweepStore

        owner, name = {"train": (checkpoint, "save"), "sweep": (SweepStore, "record")}.get(
            command, (SearchMemory, "keep")
        )
        real, calls = getattr(owner, name), [0]

        def counted(*given: Any, **named: Any) -> Any:
            found = real(*given, **named)
            calls[0] += 1
            if calls[0] == count:
                os.kill(os.getpid(), number)
            return found

        setattr(owner, name, counted)

    return install


def content(run: Path) -> dict[str, Any]:
    """What a run says, by what says it; nothing that differs between two equal runs."""
    found: dict[str, Any] = {}
    for name in ("metrics.csv", "probes.csv"):
        if (run / name).is_file():
            lines = (run / name).read_bytes().splitlines()
            timed = lines and lines[0].endswith(b",seconds")
            found[name] = _digest(b"\n".join(line.rpartition(b",")[0] if timed else line for line in lines))
    for file in sorted((run / "checkpoints").glob("*.safetensors")):
        found[file.name] = _digest(file.read_bytes())
    if (run / "summary.json").is_file():
        summary = json.loads((run / "summary.json").read_bytes())
        found["summary.json"] = json.dumps({key: v for key, v in summary.items() if key not in _TIMES}, sort_keys=True)
    if (run / "trials.csv").is_file():
        with (run / "trials.csv").open(newline="") as file:
            found["trials.csv"] = _digest(repr([{**row, "seconds": ""} for row in csv.DictReader(file)]).encode())
    if (run / "sweep.sqlite").is_file():
        found["sweep.sqlite"] = trials(run)
        found.pop("metrics.csv", None)
    return found


def trials(run: Path) -> str:
    """The digest of a sweep's trials, without the time taken."""
    from lrtool.runs.sweep.store import read_trials

    said = [repr({**vars(trial), "seconds": 0}) for trial in read_trials(run, warn=lambda _: None)]
    return _digest("\n".join(said).encode())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
