"""`lrtool.list_runs`, `doctor`, `schema`: what was run, what is installed, what a config may say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrtool.runs.listing import ListedRun


def list_runs(
    folder: str | Path = "outputs", *, name: str | None = None, command: str | None = None
) -> Iterator[ListedRun]:
    """The runs below a folder, newest first, read one by one as they are asked for.

    folder: that of `--output`, or of the runs of one name. `name`, `command`: only runs of these.

    Each has `name`, `command`, `when`, `status`, `lr`, `loss` and `folder`; the LR is the peak that was trained with,
    or the one that was suggested. Raises UsageError where there is no such folder, but for outputs, which the first run
    makes.

    >>> import tempfile, torch, lrtool
    >>> x, folder = torch.randn(200, 8), tempfile.mkdtemp()
    >>> _ = lrtool.train(torch.nn.Linear(8, 1), (x, x[:, :1]), optimizer="sgd", lr=0.02, duration=20, progress=False,
    ...                  output=folder)
    >>> [(run.command, run.status, run.lr) for run in lrtool.list_runs(folder)]
    [('train', 'finished', 0.02)]
    """
    from lrtool.errors import UsageError
    from lrtool.runs.listing import listed_runs

    place = Path(folder)
    if not place.is_dir() and place != Path("outputs"):
        raise UsageError("there is no such folder", where=str(place), remedy="give the folder that --output named")
    return listed_runs(place, name, command)


def doctor(output: str | Path = "outputs") -> dict[str, dict[str, str]]:
    """What this machine and installation can do: versions, devices, extras, compiler, whether `output` can be written.

    Findings by section, each a mapping of names to short texts; what is missing says how to get it.

    >>> import lrtool
    >>> sorted(lrtool.doctor())
    ['devices', 'extras', 'machine', 'versions']
    """
    from lrtool.experiments.doctor import examine

    return examine(Path(output))


def schema(*, sweep: bool = False) -> dict[str, Any]:
    """The JSON schema of a config, or with `sweep` of a sweep's file, for completion and checks in editors.

    >>> import lrtool
    >>> "schedule" in lrtool.schema()["properties"], "grid" in lrtool.schema(sweep=True)["properties"]
    (True, True)
    """
    if sweep:
        from lrtool.config.sweep.schema import sweep_schema

        return sweep_schema()
    from lrtool.config.schema import json_schema

    return json_schema()
