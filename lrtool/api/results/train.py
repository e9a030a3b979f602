"""The result of a training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrtool.api.results.base import Result, Row, in_this_process
from lrtool.runs.manifest import check_file, check_not_removed
from lrtool.runs.metrics import read_metrics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lrtool.experiments.train import TrainingRun


class TrainAnswer(Result):
    """What a training gave: its `final` and `best` values, its curves, and the trained `model`.

    `model`: as it is after the last update, of a training in this process; `best_weights` are those of the best
    evaluation. `run`: its command.
    """

    def __init__(
        self,
        folder: Path,
        temporary: Path | None = None,
        run: TrainingRun | None = None,
        model: Any = None,
        said: Sequence[str] = (),
    ) -> None:
        super().__init__(folder, temporary)
        self.run, self.model, self.said = run, model, tuple(said)

    def made(self) -> TrainingRun:
        """The command and all that it measured, in this process; UsageError for a result that was loaded."""
        return in_this_process(self.run)

    @property
    def answer(self) -> str:
        """How it ended, and its best loss."""
        from lrtool.report.plots.style import metric_name, number

        best = self.best
        if not best:
            return f"{self.status}: {self.reason}" if self.reason else str(self.status)
        name = "val_loss" if "val_loss" in best else "train_loss"
        said = f"best {metric_name(name)} {number(best[name])} after {int(best['step']):,} updates"
        return said if not self.reason else f"{self.status}: {self.reason}; {said}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know besides."""
        return (*(self.run.notes if self.run is not None else ()), *self.said)

    @property
    def final(self) -> dict[str, float]:
        """Losses and metrics at the last evaluation, with its `step`."""
        return dict(self.summary.get("final") or {})

    @property
    def best(self) -> dict[str, float]:
        """Losses and metrics at the best evaluation, with its `step`."""
        return dict(self.summary.get("best") or {})

    def best_weights(self) -> dict[str, Any]:
        """The weights at the best evaluation, for `model.load_state_dict`; empty where there are none.

        Raises UsageError where the file is not as the run wrote it.
        """
        path = self._folder / "checkpoints" / "best.safetensors"
        if not path.is_file():
            check_not_removed(path, self._folder)
            return {}
        from safetensors.torch import load

        data = path.read_bytes()
        check_file(path, data, self._folder)
        return dict(load(data))

    def curves(self) -> dict[str, Any]:
        """Every column of `metrics.csv`, an entry an update, NaN where it was not measured."""
        return dict(read_metrics(self._folder / "metrics.csv"))

    def rows(self) -> list[Row]:
        """A row for each evaluation; without validation for each update."""
        table = self.curves()
        measured = np.isfinite(table.get("val_loss", table["train_loss"]))
        left_out = ("trial", "seconds")
        columns = {name: values[measured].tolist() for name, values in table.items() if name not in left_out}
        return [
            {name: int(value) + 1 if name == "step" else value for name, value in zip(columns, row, strict=True)}
            for row in zip(*columns.values(), strict=True)
        ]

    def plot(self) -> Figure:
        """Loss, metrics and LR over the updates."""
        from lrtool.api.results.reading import title_of
        from lrtool.report.plots.curves import TrainingPlot, draw_training

        return draw_training(TrainingPlot.of(self.curves(), title_of(self._folder)))
