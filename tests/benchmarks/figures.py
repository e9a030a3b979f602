"""Draws every made-up figure of the tests into a folder, to be looked at, and tells whose words cannot be read.

python -m tests.benchmarks.figures FOLDER [PATTERN]
"""

import re
import sys
from pathlib import Path

from lrtool.report.plots.style import render
from tests.report.plots.made_up import ALL
from tests.report.reading import assert_every_label_can_be_read


def main(folder: Path, pattern: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    wrong = 0
    for name, make in ALL.items():
        figure = make() if re.search(pattern, name) else None
        if figure is None:
            continue
        try:
            assert_every_label_can_be_read(figure)
        except AssertionError as error:
            wrong += 1
            print(f"{name}: {error}")
        (folder / f"{re.sub(r'[^a-zA-Z0-9-]+', '_', name)}.png").write_bytes(render(figure, "png"))
    print(f"{len(ALL)} figures, {wrong} with words that cannot be read")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
