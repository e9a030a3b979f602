"""Odd configs and sweep files: none may end in a traceback, take over a second, or fill memory.

python tests/benchmarks/config_fuzz.py [--count 20000] [--first 0]
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from support.fuzzing import fuzzed, shipped

from lrtool.cli.app import run

ROOT = Path(__file__).parents[2]
#: Processor seconds of a file, and MiB that memory may grow by over all of them.
MOST_SECONDS, MOST_GROWTH = 1.0, 500


def main() -> int:
    """Check each file as `lrtool check` does; 1 where one did what it may not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    texts, codes, bad, slowest = shipped(ROOT / "configs"), collections.Counter[int](), 0, 0.0
    began, before = time.perf_counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "configs", Path(folder) / "configs")
        file = Path(folder) / "configs" / "fuzzed.yaml"
        for number in range(given.first, given.first + given.count):
            file.write_bytes(fuzzed(texts, number))
            said, start = io.StringIO(), time.process_time()
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
                code = int(run(["check", str(file)]))
            seconds = time.process_time() - start
            codes[code] += 1
            slowest = max(slowest, seconds) if number > given.first else 0.0
            if (
                code not in (0, 2)
                or "Traceback" in said.getvalue()
                or (number > given.first and seconds > MOST_SECONDS)
            ):
                bad += 1
                print(f"file {number}: exit code {code}, {seconds:.2f} s: {said.getvalue()[:300]}", flush=True)
            if number == given.first + 100:
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 if before else 0.0
    print(f"{given.count} files: exit codes {dict(codes)}, {bad} bad, slowest {slowest:.2f} s,"
          f" memory grew by {growth:.0f} MiB, {time.perf_counter() - began:.0f} s")  # fmt: skip
    return int(bad > 0 or growth > MOST_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
