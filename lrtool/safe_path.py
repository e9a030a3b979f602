"""Nothing is imported from the working folder: it may be anybody's, and a `signal.py` there would run.

`lrtool` itself does not look there; `python -m lrtool` does, and so does every Python that is started with `-c`, as
other processes are. Code beside a config is another matter: see `lrtool.tasks.custom`.
"""

from __future__ import annotations

import os
import sys

#: What makes a Python that is started leave its working folder (or its script's) out.
SAFE = {"PYTHONSAFEPATH": "1"}


def leave_working_folder(package: str) -> None:
    """Take the folder that `python -m` put first off the path.

    Where `package` itself, by the path of its folder, was found only there (in its source tree), that stays, but last:
    other processes must find it too.
    """
    try:
        here = os.getcwd()  # noqa: PTH109  # pathlib would be imported from there
    except OSError:
        return
    if sys.flags.safe_path or sys.path[:1] != [here]:
        return
    del sys.path[0]
    if os.path.dirname(os.path.abspath(package)) == here and here not in sys.path:  # noqa: PTH100, PTH120
        sys.path.append(here)


def make_children_safe() -> None:
    """Every Python that this process starts, and those that they start, leaves its working folder out."""
    os.environ.update(SAFE)
    # As in `python -c`: wherever the process happens to be.
    sys.path[:] = [entry for entry in sys.path if entry]
