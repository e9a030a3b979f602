"""Every key of every shipped config and sweep misspelt in turn: refused in its place, with the right suggestion.

python tests/benchmarks/misspelt_keys.py [--every 1]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from support.misspelling import misspelt, said_of

ROOT = Path(__file__).parents[2]
#: The part of misspellings for which the right key is suggested.
SUGGESTED = 0.95


def main() -> int:
    """Print what went wrong; 1 where a misspelling is accepted, misplaced, or too few get the right word."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="only every n-th misspelling")
    every, began = parser.parse_args().every, time.perf_counter()
    count = refused = placed = suggested = number = 0
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "configs", Path(folder) / "configs")
        for path in sorted((Path(folder) / "configs").rglob("*.yaml")):
            text = path.read_text()
            for slip in misspelt(text):
                number += 1
                if number % every:
                    continue
                said = said_of(slip, path)
                count, refused = count + 1, refused + said.refused
                placed, suggested = placed + said.placed, suggested + said.suggested
                if not (said.refused and said.placed and said.suggested):
                    where = f"{path.name}:{slip.line}:{slip.column}"
                    print(f"{where} {slip.key} as {slip.written}: {said.message.splitlines()[0]}")
            path.write_text(text)
    print(f"{count} misspellings: {refused} refused, {placed} in their place, {suggested} with the right word"
          f" ({suggested / count:.1%}), {time.perf_counter() - began:.0f} s")  # fmt: skip
    return int(refused < count or placed < count or suggested < SUGGESTED * count)


if __name__ == "__main__":
    sys.exit(main())
