"""Folders of results of `lrtool theory`: tables, plots, and schedules that `train` takes."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrtool.report.plots.style import save
from lrtool.runs.folder import RunFolder
from lrtool.runs.summary import summary
from lrtool.schedules.table import Table
from lrtool.status import Status

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lrtool.config.schema import Config

Array = NDArray[np.float64]

#: What these folders are kept under, apart from the runs of a config.
NAME = "theory"


class TheoryFolder:
    """A new folder for the results of a command of `lrtool theory`; raises OutputError where none can be made."""

    def __init__(self, output: Path, command: str) -> None:
        self.command, self._began = command, time.perf_counter()
        self.folder = RunFolder.create(output, NAME, command)
        self.folder.make_latest()

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.folder.path

    def table(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Write a CSV file."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
        self.folder.write_text(name, text.getvalue())

    def plot(self, figure: Figure, stem: str) -> None:
        """Write a figure as PNG and SVG."""
        save(figure, self.folder, stem)

    def schedule(self, rates: Array, peak: float, config: Config | None, note: str) -> list[str]:
        """Write a schedule as a table of parts of the peak, and the config that trains with it; gives how to.

        `note`: what the LRs are, which becomes the config's first line.
        """
        factors = np.clip(rates / peak, 0.0, 1.0)
        self.table("schedule.csv", ("step", "factor"), ((step, repr(float(f))) for step, f in enumerate(factors)))
        file = (self.path / "schedule.csv").resolve()
        if config is None:
            return [f"lrtool train CONFIG --set 'schedule={{kind: table, file: {file}}}'"]
        own = config.model_copy(update={"schedule": Table(file=file)})
        self.folder.write_text("config.yaml", f"# {note}\n{own.to_yaml()}")
        return [f"lrtool train {self.path / 'config.yaml'}"]

    def finish(self, results: Mapping[str, Any]) -> None:
        """Write the summary."""
        seconds = time.perf_counter() - self._began
        document = summary(
            f"theory-{self.command}", Status.FINISHED, reason="", steps=0, seconds=seconds, config_hash="", **results
        )
        self.folder.write_json("summary.json", document)
