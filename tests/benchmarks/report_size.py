"""Size of a report, and seconds until it can be used in Chromium, for sweeps of 360 and of 10,000 trials.

`python tests/benchmarks/report_size.py [CHROMIUM]`; nothing is trained. Limits: 3 MB and 2 s; 10 MB and 5 s. Seconds
are the page's own clock from the beginning of the navigation until charts and table answer; then how long a sort of
the table and a trial more in the curves take, each until it is drawn. On a busy machine the work of the page's main
thread, in brackets, says more than the clock.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from lrtool.report.html.page import Page
from lrtool.report.html.render import render
from tests.report.html.chromium import chromium, wait_until_ready
from tests.report.html.folders import sweep_run

#: Trials: MB at most, seconds at most.
LIMITS = {360: (3, 2), 10_000: (10, 5)}

_SORT = "document.querySelectorAll('#trials thead button')[5].click()"
_TOGGLE = "document.querySelectorAll('#trials tbody input')[3].click()"
_TIMED = """
const [done] = arguments, start = performance.now();
ACT;
requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
"""


def settings(trials: int) -> list[dict[str, object]]:
    """Of 360 trials a grid; of more, random samples."""
    if trials == 360:
        grid = itertools.product(np.geomspace(0.001, 10, 15), ("cosine", "constant", "linear", "wsd"), (16, 64))
        return [{"optimizer.lr": float(lr), "schedule.kind": kind, "data.batch_size": size} for lr, kind, size in grid]
    random = np.random.default_rng(1)
    return [
        {
            "optimizer.lr": float(10 ** random.uniform(-3, 0.5)),
            "optimizer.weight_decay": float(10 ** random.uniform(-6, -2)),
            "schedule.kind": str(random.choice(["cosine", "linear", "wsd"])),
        }
        for _ in range(trials // 5)
    ]


def measure(trials: int, folder: Path, binary: str | None) -> bool:
    """Print a line; gives whether the limits hold."""
    each = settings(trials)
    path = sweep_run(folder, each, f"sweep-{trials}", seeds=trials // len(each), points=200)
    start = time.perf_counter()
    text = render(Page.of([str(path)]))
    made, file = time.perf_counter() - start, folder / f"{trials}.html"
    file.write_text(text)
    size = file.stat().st_size / 1e6
    with chromium(binary) as driver:
        driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        driver.get(file.as_uri())
        ready = wait_until_ready(driver, 60) / 1000
        metrics = {
            each["name"]: each["value"] for each in driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        }
        sort, toggle = (driver.execute_async_script(_TIMED.replace("ACT", act)) for act in (_SORT, _TOGGLE))
    most_size, most_seconds = LIMITS[trials]
    print(
        f"{trials:6,} trials: {size:.2f} MB (limit {most_size}), usable after {ready:.2f} s (limit {most_seconds};"
        f" {metrics['TaskDuration']:.2f} s of work on its main thread),"
        f" sort {sort:.0f} ms, one trial more {toggle:.0f} ms; written in {made:.1f} s"
    )
    return size <= most_size and ready <= most_seconds


def main() -> int:
    """Both sizes; gives how many limits are broken."""
    binary = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as folder:
        return sum(not measure(trials, Path(folder), binary) for trials in LIMITS)


if __name__ == "__main__":
    sys.exit(main())
