"""Odd configs, misspelt keys, broken losses, files from strangers: the scripts and tests of `make torture-inputs`."""

from __future__ import annotations

from tests.torture.support.parts import Part, scaled, script

#: Configs that are fuzzed, and in how many parts, so that no core waits for the other at the end.
FUZZED, SHARES = 20_000, 2
_BENCHMARKS = "tests/benchmarks"
_MALICIOUS = [f"tests/cli/test_{name}.py" for name in ("malicious", "malicious_files", "strangers")]


def parts(scale: float) -> list[Part]:
    """All of them."""
    count = scaled(FUZZED // SHARES, scale)
    fuzzed = [
        script(
            f"inputs: fuzz {number + 1}", "odd configs do no harm", f"{count:,} configs", 5,
            f"{_BENCHMARKS}/config_fuzz.py", "--first", str(number * count), "--count", str(count),
        )
        for number in range(SHARES)
    ]  # fmt: skip
    every = str(round(1 / scale))
    return [
        *fuzzed,
        script("inputs: misspelt", "misspelt keys are named", f"every key (1 in {every})", 4,
               f"{_BENCHMARKS}/misspelt_keys.py", "--every", every),
        script("inputs: divergence", "divergence is seen, and nothing else", "64 kinds of curve × 20 seeds", 2,
               f"{_BENCHMARKS}/divergence.py"),
        script("inputs: strangers", "no file that is opened runs code", "every attack of three files of tests", 3,
               "-m", "pytest", "-q", "-p", "no:cacheprovider", *_MALICIOUS),
    ]  # fmt: skip
