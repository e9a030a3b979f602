"""`transfer --points`: a law through points that a user has already; nothing is trained, and torch is not needed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrtool.analysis.search.transfer.extrapolate import Transferred, extrapolate
from lrtool.analysis.search.transfer.points import Points
from lrtool.config.document import write_yaml
from lrtool.config.schema import Config
from lrtool.config.settings import digest
from lrtool.experiments.transfer.points_file import read_points
from lrtool.experiments.transfer.summary import summarise
from lrtool.experiments.transfer.target import of_points
from lrtool.report import pictures
from lrtool.report.transfer.plot import TransferPlot, draw_transfer
from lrtool.runs.environment import environment
from lrtool.runs.folder import RunFolder
from lrtool.runs.log import logged
from lrtool.runs.summary import summary
from lrtool.status import Status


@dataclass(frozen=True)
class MeasuredRun:
    """A finished transfer of points: its folder, its summary, and all that was found."""

    folder: RunFolder
    summary: dict[str, Any]
    found: Transferred


def transfer_points(path: Path, to: Sequence[str], output: Path, config: Config | None = None) -> MeasuredRun:
    """Fit the points of a file and say the LR at the target, in a new run folder.

    `config`: names the run, and is what a training would take the LR into. Raises UsageError where the points or the
    target cannot be read; points that support no law are no error, but a result without an LR.
    """
    began = time.perf_counter()
    points = read_points(path)
    target = of_points(to, points)
    name = config.name if config is not None else path.stem
    folder = RunFolder.create(output, name, "transfer")
    with folder.held():
        text, hashed = _asked(config, name, points, target)
        folder.write_text("config.yaml", text)
        folder.write_bytes("points.csv", path.read_bytes())
        folder.write_json("environment.json", environment(path.resolve().parent, "cpu"))
        folder.make_latest()
        with logged(folder.path / "log.txt"):
            found = extrapolate(points, target)
            plot = TransferPlot.of(found, name)
            pictures.picture(folder, "transfer", lambda: draw_transfer(plot))
        status = Status.DIVERGED if found.diverged else Status.FINISHED
        written = summary(
            "transfer",
            status,
            reason=found.reason,
            steps=0,
            seconds=time.perf_counter() - began,
            config_hash=hashed,
            **summarise(found),
        )
        folder.write_json("summary.json", written)
    return MeasuredRun(folder, written, found)


def _asked(config: Config | None, name: str, points: Points, target: dict[str, float]) -> tuple[str, str]:
    """The text of `config.yaml` and its hash: of the user's config, or of what was asked for."""
    if config is not None:
        return config.to_yaml(), config.hash()
    rows = [points.values.tolist(), points.lr.tolist(), [repr(loss) for loss in points.loss.tolist()]]
    asked = {"name": name, "points": "points.csv", "to": dict(target)}
    return write_yaml(asked), digest([asked, rows])
