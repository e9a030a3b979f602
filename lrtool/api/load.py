"""`lrtool.load`: a run folder of any command, as the result that its function gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from lrtool.api.results.base import Result
from lrtool.api.results.compare import SweepAnswer
from lrtool.api.results.range_test import RangeTestAnswer
from lrtool.api.results.train import TrainAnswer
from lrtool.api.results.transfer import TransferAnswer
from lrtool.api.results.tune import TuneAnswer
from lrtool.errors import UsageError

_COMMANDS: Mapping[str, Callable[[Path], Result]] = {
    "range-test": RangeTestAnswer,
    "tune": TuneAnswer,
    "transfer": TransferAnswer,
    "train": TrainAnswer,
    "smoke": TrainAnswer,
    "sweep": SweepAnswer,
}


def load(run: str | Path) -> Result:
    """The result in a run folder, a `latest` link, or `outputs/<name>` (its newest run).

    Raises UsageError where there is none, it is damaged or from a newer lrtool, or its command is still going on.

    >>> import tempfile, torch, lrtool
    >>> x = torch.randn(200, 8)
    >>> done = lrtool.train(torch.nn.Linear(8, 1), (x, x[:, :1]), optimizer="sgd", duration=40, progress=False)
    >>> folder = done.save(tempfile.mkdtemp())
    >>> lrtool.load(folder).final == done.final
    True
    """
    from lrtool.runs.folder import RunFolder

    folder = RunFolder.open(Path(run))
    command = str(folder.summary()["command"])
    if command not in _COMMANDS:
        raise UsageError(
            f"there is no result of a {command} run", where=str(run), remedy="give that of another command"
        )
    if command == "tune" and "target" in folder.summary():
        command = "transfer"  # by shorter runs
    return _COMMANDS[command](folder.path)
