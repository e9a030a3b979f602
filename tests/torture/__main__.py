"""All of it: `python -m tests.torture [PART…]` runs parts by name, and prints what each shows and how long it took."""

from __future__ import annotations

import importlib
import os
import subprocess
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
    failed, environment = [], {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    for name in names or PARTS:
        began = time.perf_counter()
        about = importlib.import_module(f"tests.torture.{name}").__doc__ or ""
        print(f"== {name}: {about.splitlines()[0]}", flush=True)
        code = subprocess.run([sys.executable, "-m", f"tests.torture.{name}"], env=environment, check=False).returncode
        minutes = (time.perf_counter() - began) / 60
        print(f"== {name}: {'FAILED' if code else 'passed'} in {minutes:.1f} min", flush=True)
        if code:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
