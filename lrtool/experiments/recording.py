"""The observer that writes an engine's measurements to `metrics.csv` while it trains."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat

from lrtool.engine.observer import Observer
from lrtool.engine.trials import Evaluation, Trace
from lrtool.runs.metrics import MetricsWriter


class MetricsRecorder(Observer):
    """An engine observer that writes each trial's updates as rows, in whole lines.

    An evaluation after s updates belongs to the row of update s−1, and comes after it; so the newest row of
    each trial waits until the engine goes on.
    """

    def __init__(self, writer: MetricsWriter, batches_per_epoch: int, accumulate: int = 1) -> None:
        self._writer, self._batches_per_epoch, self._accumulate = writer, batches_per_epoch, accumulate
        self._waiting: dict[int, dict[str, float]] = {}

    def recorded(self, trial: int, trace: Trace, start: int) -> None:
        """Write the waiting row and all new ones but the last."""
        before, rows = self._waiting.pop(trial, None), self._rows(trial, trace, start)
        if rows:
            self._waiting[trial] = rows.pop()
        self._writer.write(rows if before is None else [before, *rows])

    def rewound(self, trial: int, trace: Trace) -> None:
        """Take back the rows that the trial no longer has."""
        self._waiting.pop(trial, None)
        self._writer.cut(trial, trace.steps)

    def evaluated(self, trial: int, evaluation: Evaluation) -> None:
        """Complete the waiting row."""
        row = self._waiting.get(trial)
        if row is not None and row["step"] == evaluation.step - 1:
            row.update(evaluation.values)
        self._release(trial)

    def ended(self, trial: int, trace: Trace) -> None:
        """Write what still waits of this trial; others may still be validated."""
        self._release(trial)
        self._writer.flush()

    def settle(self) -> None:
        """Write every waiting row and make all rows survive a power cut."""
        for trial in list(self._waiting):
            self._release(trial)
        self._writer.flush()

    def close(self) -> None:
        """What still waits is written; the file is closed by whoever opened it."""
        self.settle()

    def _release(self, trial: int) -> None:
        row = self._waiting.pop(trial, None)
        if row is not None:
            self._writer.write([row])

    def _rows(self, trial: int, trace: Trace, start: int) -> list[dict[str, float]]:
        """The rows of updates from `start` on."""
        return rows_of(trial, trace, self._batches_per_epoch, self._accumulate, start)


def rows_of(
    trial: int, trace: Trace, batches_per_epoch: int, accumulate: int = 1, start: int = 0
) -> list[dict[str, float]]:
    """The rows of a trial's updates from `start` on, evaluations left out."""
    steps = range(start, trace.steps)
    columns: dict[str, Iterable[float]] = {
        "trial": repeat(trial, len(steps)),
        "step": steps,
        "epoch": [step * accumulate // batches_per_epoch for step in steps],
        "lr": trace.lr[start:].tolist(),
        "train_loss": trace.train_loss[start:].tolist(),
        **{name: column[start:].tolist() for name, column in trace.recorded.items()},
        "seconds": trace.seconds[start:].round(6).tolist(),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def known_rows(trial: int, trace: Trace, batches_per_epoch: int, accumulate: int = 1) -> list[dict[str, float]]:
    """Every row of a trace that was read back, evaluations included, as the recorder wrote it."""
    rows = rows_of(trial, trace, batches_per_epoch, accumulate)
    for evaluation in trace.evaluations:
        if 0 < evaluation.step <= len(rows):
            rows[evaluation.step - 1].update(evaluation.values)
    return rows
