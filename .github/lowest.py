"""Prints a constraints file with the lowest version of each requirement that pyproject.toml allows.

python .github/lowest.py > lowest.txt && pip install --constraint lowest.txt '.[test]'
"""

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
for requirement in sorted({*project["dependencies"], *extras["test"]}):
    found = re.fullmatch(r"([\w.-]+)>=([\w.]+)", requirement)
    if found is None:
        sys.exit(f"{requirement!r} has no lowest version; write NAME>=VERSION")
    print(f"{found[1]}=={found[2]}")
