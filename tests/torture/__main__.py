"""All of it: `python -m tests.torture [PART…]` runs parts by name, and prints what each shows and how long it took."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import time

#: The parts, in order; each is a module with `main`.
PARTS = ("damage", "kills", "signals", "disks", "names", "million")


def main(names: list[str]) -> int:
    """Every part in a process of its own; gives how many failed."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"there is no part {unknown[0]!r}; choose of: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    failed = []
    for name in names or PARTS:
        began = time.perf_counter()
        about = importlib.import_module(f"tests.torture.{name}").__doc__ or ""
        print(f"== {name}: {about.splitlines()[0]}", flush=True)
        process = multiprocessing.get_context("spawn").Process(target=_part, args=(name,))
        process.start()
        process.join()
        minutes = (time.perf_counter() - began) / 60
        print(f"== {name}: {'FAILED' if process.exitcode else 'passed'} in {minutes:.1f} min", flush=True)
        if process.exitcode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return len(failed)


def _part(name: str) -> None:
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    sys.exit(importlib.import_module(f"tests.torture.{name}").main() or 0)


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
