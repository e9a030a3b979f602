"""50 processes that start runs of one name in one second, 20 times; and two that resume one run at the same moment."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.torture.support import forks, runs
from tests.torture.support.parts import Part, Shown, scaled

TIMES, PROCESSES = 20, 50
#: Seconds from the first fork to the common start.
HEAD_START = 1.5
QUICK = runs.CONFIG.replace("duration: 32, eval_every: 4, checkpoint_every: 4", "duration: 2, eval_every: 0").replace(
    "warmup: 4", "warmup: 0"
)


def together(folder: Path, commands: Sequence[Sequence[object]], head_start: float = HEAD_START) -> list[forks.Ended]:
    """Commands that start at the same moment; how each ended."""
    start = time.time() + head_start

    def wait() -> None:
        forks.without_plots()
        time.sleep(max(0.0, start - time.time()))

    return [process.ended() for process in [forks.Forked(folder, words, wait) for words in commands]]


def same_name(folder: Path, processes: int) -> int:
    """Start them; gives in how many seconds their folders were made. AssertionError where two share one."""
    words = ("train", "c.yaml", "--output", "out", "--json")
    ended = together(folder, [words] * processes)
    assert all(each.code == 0 for each in ended), next(each.said for each in ended if each.code)
    folders = [json.loads(each.out)["folder"] for each in ended]
    assert len(set(folders)) == processes, f"{processes - len(set(folders))} folders were shared"
    for each in folders:
        summary = json.loads((folder / each / "summary.json").read_bytes())
        rows = (folder / each / "metrics.csv").read_bytes().count(b"\n") - 1
        assert (summary["status"], rows) == ("finished", 2), f"{each}: {summary['status']}, {rows} rows"
    latest = (folder / "out" / "small" / "latest").resolve()
    assert str(latest) in {str((folder / each).resolve()) for each in folders}
    return len({Path(each).name[:15] for each in folders})


def two_resume(folder: Path, number: int) -> None:
    """Kill a run, resume it twice at once: one goes on, the other is refused; afterwards the lock is free."""
    run = runs.made(folder, "train", f"killed-{number}", runs.killed_at("train", 3))
    words = ("train", "--resume", run, "--quiet")
    codes = sorted(each.code or 0 for each in together(folder, [words] * 2, 0.2))
    # Where one had finished before the other looked, there was nothing to do.
    assert codes in ([0, 2], [0, 0]), codes
    assert forks.run(folder, *words).code == 0, "the lock is not free"
    assert runs.content(run) == runs.content(runs.made(folder, "train", f"whole-{number}"))
    if codes == [0, 0]:
        assert "nothing to do" in forks.run(folder, *words).out


def parts(scale: float) -> list[Part]:
    """One for the names, one for the lock."""
    promise, times = "two processes never share a folder", scaled(TIMES, scale)
    return [
        Part("names: one name", promise, partial(_one_name, times), 8.0),
        Part("names: one run", promise, partial(_one_run, times), 1.0),
    ]


def _one_name(times: int, folder: Path) -> Shown:
    runs.write_configs(folder)
    (folder / "c.yaml").write_text(QUICK)
    crowded = [PROCESSES / same_name(folder, PROCESSES) for _ in range(times)]
    most = f"up to {max(crowded):.0f} in one second"
    return Shown(f"{times} times {PROCESSES} processes that start runs of one name", f"no folder shared, {most}")


def _one_run(times: int, folder: Path) -> Shown:
    runs.write_configs(folder)
    for number in range(times):
        two_resume(folder, number)
    return Shown(f"{times} times two that resume one run", "one goes on, the other is refused, the lock is free again")
