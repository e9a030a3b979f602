"""How often trainings that broke down are seen to have, and how often sound ones are taken for broken.

Each of 64 kinds of loss is drawn with so many seeds, in runs of 15 to 4,000 updates. Some kinds were held out when the
rule was made.

    python tests/benchmarks/divergence.py [--seeds 20] [--kinds held-out]
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass

import numpy as np
from support.loss_curves import BROKEN, HELD_OUT, SOUND, Kind

from lrtool.analysis.divergence import first_divergence

#: The part of broken trainings that may be missed, and of sound ones that may be stopped, over all kinds.
MOST_MISSED, MOST_STOPPED = 0.04, 0.015


@dataclass(frozen=True)
class Row:
    """A kind of loss: of how many runs something else was said than is true."""

    name: str
    broken: bool
    wrong: int


def judged(name: str, kind: Kind, broken: bool, seeds: int) -> Row:
    """Draw a kind with so many seeds, and see what is said of it."""
    losses = (kind(np.random.default_rng([seed, *name.encode()])) for seed in range(seeds))
    return Row(name, broken, sum((first_divergence(loss) is not None) != broken for loss in losses))


def main() -> int:
    """Print the table; 1 where too many are misjudged."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--kinds", choices=["all", "held-out", "others"], default="all")
    given = parser.parse_args()
    began, rows = time.perf_counter(), []
    for kinds, broken in ((BROKEN, True), (SOUND, False)):
        print("broken trainings" if broken else "\nsound trainings")
        for name, kind in kinds.items():
            held = name in HELD_OUT
            if given.kinds != "all" and held != (given.kinds == "held-out"):
                continue
            rows.append(judged(name, kind, broken, given.seeds))
            print(f"  {name:42}{'missed' if broken else 'stopped'} {rows[-1].wrong:3} of {given.seeds}"
                  + "  (held out)" * held, flush=True)  # fmt: skip
    parts = []
    for broken, word in ((True, "broken trainings missed"), (False, "sound trainings stopped")):
        of = [row for row in rows if row.broken is broken]
        wrong, count = sum(row.wrong for row in of), len(of) * given.seeds
        parts.append(wrong / max(count, 1))
        none = sum(not row.wrong for row in of)
        print(f"\n{word}: {wrong} of {count} ({parts[-1]:.2%}), of {none} of {len(of)} kinds none")
    print(f"{time.perf_counter() - began:.0f} s")
    return int(parts[0] > MOST_MISSED or parts[1] > MOST_STOPPED)


if __name__ == "__main__":
    sys.exit(main())
