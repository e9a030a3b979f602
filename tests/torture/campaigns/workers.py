"""kill -9 of sweeps whose workers are processes of their own, spawned as users have them (`make test-faults` alone)."""

from __future__ import annotations

from tests.torture.support.parts import Part, scaled, script

#: Kills of the first sweep; each of the three others is killed a third as often.
KILLS = 9


def parts(scale: float) -> list[Part]:
    """The script that does it, less often than by itself."""
    kills = scaled(KILLS, scale)
    size = f"{2 * kills} kills of four kinds of sweep, spawned workers"
    words = ("tests/benchmarks/sweep_faults.py", str(kills))
    return [script("workers: spawned", "kill -9 loses at most one interval", size, 6.0, *words)]
