"""Loss curves out of run folders and CSV files."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrtool.errors import UsageError
from lrtool.report.theory.norms import run_at
from lrtool.runs.folder import RunFolder
from lrtool.runs.metrics import read_metrics
from lrtool.status import Status
from lrtool.theory.loss_curve import LossCurve

Array = NDArray[np.float64]

#: Names that columns of a CSV file may have, the first that is there being taken.
_STEP, _RATE = ("step", "steps", "update", "iteration"), ("lr", "learning_rate")
_LOSS = ("loss", "train_loss", "val_loss")
#: Losses without which a curve says nothing.
_FEWEST = 10
#: Parts of a curve at whose ends it is seen whether the loss falls.
_PART = 0.1
#: A log whose first row is at more than so many of its rows' distances starts late: after the warm-up.
_LATE = 3.0
#: LRs closer to the greatest than this are at it.
_NEAR = 1e-6


def loss_curve(given: str | Path, metric: str | None = None) -> LossCurve:
    """The curve of a finished training, or of a CSV file with the columns step, lr and loss.

    metric: the column that is the loss; unsaid, `train_loss` of a run and `loss` of a file. Raises UsageError where it
    cannot be read, is too short, diverged or did not fall.
    """
    run = run_at(given)
    if run is not None:
        found = _of_run(run, metric or "train_loss")
    elif Path(given).is_file():
        steps, rates, losses = _read(Path(given), metric)
        if losses is None:
            raise UsageError(
                "there is no column for the loss", where=str(given), remedy=f"name one of: {', '.join(_LOSS)}"
            )
        found = _of_table(Path(given), steps, rates, losses)
    else:
        raise UsageError("there is no such file or folder", where=str(given), remedy="give a run folder or a CSV file")
    _check(found, str(given))
    return found


def curve_rates(file: Path) -> tuple[LossCurve, bool]:
    """The LRs of a CSV file as a curve to predict, and whether its losses are those that were measured."""
    steps, rates, losses = _read(file, None)
    measured = losses is not None
    return _of_table(file, steps, rates, losses if losses is not None else np.ones(len(steps))), measured


def warmup_of(rates: Array) -> int:
    """Updates before the LR first reaches its greatest value."""
    return int(np.argmax(rates >= rates.max() * (1 - _NEAR)))


def _of_run(run: RunFolder, metric: str) -> LossCurve:
    where = str(run.path)
    if run.command != "train":
        raise UsageError(
            f"this is a {run.command or 'half-made'} run, not a training", where=where, remedy="give training runs"
        )
    status = Status(run.summary()["status"])
    if status not in (Status.FINISHED, Status.INTERRUPTED):
        raise UsageError(f"this training is {status}", where=where, remedy="give trainings that finished")
    columns = read_metrics(run.path / "metrics.csv")
    if metric not in columns:
        raise UsageError(
            f"the metrics have no column {metric!r}", where=where, remedy=f"name one of: {', '.join(columns)}"
        )
    known = np.isfinite(columns[metric])
    # The row of update t has the loss before it, and the evaluation after it.
    after = 0 if metric == "train_loss" else 1
    steps = columns["step"][known].astype(np.int64) + after
    rates = columns["lr"]
    if not np.isfinite(rates).all():
        raise UsageError("the metrics lack the LR of some update", where=where, remedy="train again")
    return LossCurve(run.path.name, rates, steps, columns[metric][known], warmup_of(rates))


def _of_table(file: Path, steps: Array, rates: Array, losses: Array) -> LossCurve:
    """Fills in the LRs of updates that have no row.

    Straight lines between rows; a jump between two stretches of constant LR happens at the row that first has the new
    one. Before the first row there was a linear warm-up from 0 where the log starts late, else that row's LR.
    """
    count = steps.astype(np.int64)
    every = np.interp(np.arange(count[-1] + 1), count, rates)
    for row in range(1, len(count) - 2):
        before, here, then, after = rates[row - 1 : row + 3]
        if before == here != then == after:
            every[count[row] : count[row + 1]] = here
    first = int(count[0])
    if len(count) > 1 and first > _LATE * float(np.median(np.diff(count))):
        every[:first] = rates[0] * (np.arange(first) + 1) / first
    return LossCurve(file.stem, every, count, losses, warmup_of(every))


def _read(file: Path, metric: str | None) -> tuple[Array, Array, Array | None]:
    """Steps, LRs and losses of the rows; every problem is an error with its line. No losses: None."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            header = [name.strip() for name in next(reader, [])]
            places = [_place(header, names, file) for names in (_STEP, _RATE)]
            loss = _loss_place(header, metric, file)
            rows = [
                [
                    _number(row, place, header, f"{file}:{reader.line_num}")
                    for place in (*places, loss)
                    if place is not None
                ]
                for row in reader
                if row
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot read the table: {error}", where=str(file), remedy="check the path") from None
    if not rows:
        raise UsageError("the table has no rows", where=str(file), remedy="write a row for each loss: 100,0.1,2.31")
    table = np.array(rows, dtype=np.float64)
    _check_rows(table, file)
    return table[:, 0], table[:, 1], table[:, 2] if table.shape[1] > 2 else None


def _check_rows(table: Array, file: Path) -> None:
    steps, rates = table[:, 0], table[:, 1]
    back = np.flatnonzero(np.diff(steps) <= 0)
    if back.size:
        raise UsageError(
            f"steps must increase, but {steps[back[0]]:g} is followed by {steps[back[0] + 1]:g}",
            where=f"{file}:{back[0] + 3}",
            remedy="sort the rows, one run a file",
        )
    if (steps < 0).any() or (steps != np.floor(steps)).any():
        raise UsageError("steps are whole numbers of at least 0", where=str(file))
    if (rates < 0).any() or not (rates > 0).any():
        raise UsageError("LRs are at least 0, and somewhere above", where=str(file))


def _place(header: Sequence[str], names: Sequence[str], file: Path) -> int:
    for name in names:
        if name in header:
            return header.index(name)
    raise UsageError(
        f"the header has no column {names[0]}, but {', '.join(header) or 'nothing'}",
        where=f"{file}:1",
        remedy="write a first line: step,lr,loss",
    )


def _loss_place(header: Sequence[str], metric: str | None, file: Path) -> int | None:
    if metric is not None:
        return _place(header, (metric,), file)
    return next((header.index(name) for name in _LOSS if name in header), None)


def _number(row: Sequence[str], place: int, header: Sequence[str], where: str) -> float:
    try:
        number = float(row[place])
    except (IndexError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        text = row[place] if place < len(row) else "nothing"
        raise UsageError(
            f"{header[place]} must be a finite number, but got {text!r}",
            where=where,
            remedy="leave the row out; a run that diverged says nothing here",
        )
    return number


def _check(curve: LossCurve, where: str) -> None:
    """Raise UsageError where a curve cannot be what a law describes."""
    if (curve.losses <= 0).any():
        raise UsageError("laws describe losses above 0", where=where, remedy="give a loss such as cross-entropy")
    kept = curve.fitted()
    if len(kept.losses) < _FEWEST:
        raise UsageError(
            f"after its start the run has {len(kept.losses)} losses, but a law needs {_FEWEST} of each run",
            where=where,
            remedy="give longer runs, or losses measured more often",
        )
    ends = max(1, int(_PART * len(kept.losses)))
    if kept.losses[-ends:].mean() >= kept.losses[:ends].mean():
        raise UsageError(
            "the loss does not fall: the run diverged, or learned nothing", where=where, remedy="leave it out"
        )
