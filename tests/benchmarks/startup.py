"""Start-up: `lrtool --help` beside `python -c "import typer"`, in turn, each in a process of its own."""

import statistics
import subprocess
import sys
import time

RUNS = 10
LIMIT = 2.0
COMMANDS = {
    "import typer": [sys.executable, "-c", "import typer"],
    "lrtool --help": [sys.executable, "-m", "lrtool", "--help"],
}


def seconds(command: list[str]) -> float:
    """Wall-clock time of one run."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> int:
    """Print the medians and their ratio; 1 where the ratio is above the limit."""
    for command in COMMANDS.values():
        seconds(command)  # the first run fills the file cache
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(RUNS):
        for name, command in COMMANDS.items():
            taken[name].append(seconds(command))
    medians = {name: statistics.median(times) for name, times in taken.items()}
    for name, median in medians.items():
        print(f"{name:14} {median * 1e3:7.1f} ms")
    ratio = medians["lrtool --help"] / medians["import typer"]
    print(f"ratio {ratio:.2f} (limit {LIMIT:g}): {'PASS' if ratio <= LIMIT else 'FAIL'}")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
