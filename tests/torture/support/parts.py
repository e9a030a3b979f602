"""The parts of the torture: each shows one promise, and says how often it was tried."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
#: Seconds after which a part hangs.
LIMIT = 3600.0


@dataclass(frozen=True)
class Shown:
    """What a part has shown: how much was tried, and what came of it."""

    size: str
    figure: str


@dataclass(frozen=True)
class Part:
    """A part by its name: the promise that it shows, and what shows it in an empty folder.

    `show` raises AssertionError where the promise is broken. `minutes`: about, at full size: the longest begin first.
    """

    name: str
    promise: str
    show: Callable[[Path], Shown]
    minutes: float = 1.0


def scaled(count: int, scale: float) -> int:
    """A part of a number of times, once at least."""
    return max(1, round(count * scale))


def script(name: str, promise: str, size: str, minutes: float, *words: str) -> Part:
    """A part that is a script, or pytest, of its own: the figures are the last lines that it prints."""

    def show(folder: Path) -> Shown:
        ended = subprocess.run(
            [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False
        )
        lines = [line for line in ended.stdout.splitlines() if line.strip()]
        assert ended.returncode == 0, "\n".join([*lines[-30:], ended.stderr[-2000:]])
        # What was wrong stands before it, where anything was.
        return Shown(size, "; ".join(line.strip() for line in lines[-2:] if any(map(str.isdigit, line))))

    return Part(name, promise, show, minutes)
