"""How often a ramp of pure noise is taken for one whose loss falls, and so gets a suggestion: at most 5% of any kind.

Noise of several shapes (normal; Student's t with 3 degrees of freedom; skewed; growing tenfold along the ramp;
shrinking tenfold), each an autoregressive process of the first order, on ramps of several lengths with several seeds.
What falls is judged by the range test's own evidence, after the rule that stops a diverging ramp.

    python tests/benchmarks/ramp_noise.py [--ramps 100] [--shapes normal,tails,skewed,growing,shrinking]
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from numpy.typing import NDArray

from lrtool.analysis.divergence import RANGE_TEST, first_divergence
from lrtool.analysis.evidence import gather

Array = NDArray[np.float64]

SHAPES = ("normal", "tails", "skewed", "growing", "shrinking")
CORRELATIONS = (0.0, 0.3, 0.6, 0.8, 0.95)
SEEDS = (1, 2, 3, 5)
STEPS = (40, 100, 300)
#: The part of ramps of one kind that may get a suggestion, and standard errors of such a part that are allowed.
MOST, _ERRORS = 0.05, 2.0
#: Steps after which a process has forgotten where it began.
_BEFORE = 100


def noise(shape: str, correlation: float, seeds: int, steps: int, rng: np.random.Generator) -> Array:
    """Losses (seeds, steps) about 2.3 that no LR has any effect on, NaN once the test has stopped."""
    size = (seeds, _BEFORE + steps)
    drawn = {
        "tails": lambda: rng.standard_t(3, size=size),
        "skewed": lambda: rng.exponential(size=size) - 1,
        "growing": lambda: rng.normal(size=size) * np.geomspace(1, 10, size[1]),
        "shrinking": lambda: rng.normal(size=size) * np.geomspace(10, 1, size[1]),
    }.get(shape, lambda: rng.normal(size=size))()
    for t in range(1, size[1]):
        drawn[:, t] += correlation * drawn[:, t - 1]
    losses = 2.3 + 0.1 * drawn[:, _BEFORE:]
    for row in losses:
        stopped = first_divergence(row, RANGE_TEST)
        if stopped is not None:
            row[stopped + 1 :] = np.nan
    return losses


def taken_for_a_fall(shape: str, correlation: float, seeds: int, steps: int, ramps: int) -> float:
    """The part of so many ramps of noise in which the loss seems to fall."""
    rng, lr = np.random.default_rng([seeds, steps]), np.geomspace(1e-6, 10, steps)
    return float(np.mean([gather(lr, noise(shape, correlation, seeds, steps, rng)).falls for _ in range(ramps)]))


def main() -> int:
    """Print the table; 1 where some kind of noise is taken for a fall too often."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ramps", type=int, default=100, help="ramps of each kind")
    parser.add_argument("--shapes", default=",".join(SHAPES), help=f"comma-separated, of {', '.join(SHAPES)}")
    arguments = parser.parse_args()
    columns = [(seeds, steps) for seeds in SEEDS for steps in STEPS]
    print(
        f"{'noise':<11}{'ρ':>5}" + "".join(f"{f'{seeds}×{steps}':>8}" for seeds, steps in columns) + "  (seeds×steps)"
    )
    found = []
    for shape in arguments.shapes.split(","):
        for correlation in CORRELATIONS:
            row = [taken_for_a_fall(shape, correlation, *column, arguments.ramps) for column in columns]
            print(f"{shape:<11}{correlation:>5}" + "".join(f"{part:>8.0%}" for part in row), flush=True)
            found += row
    worst, allowed = max(found), MOST + _ERRORS * float(np.sqrt(MOST * (1 - MOST) / arguments.ramps))
    verdict = "PASS" if worst <= allowed and np.mean(found) <= MOST else "FAIL"
    print(f"{verdict}: mean {np.mean(found):.1%}, worst {worst:.0%} (target {MOST:.0%}, {allowed:.0%} with its error)")
    return verdict == "FAIL"


if __name__ == "__main__":
    sys.exit(main())
