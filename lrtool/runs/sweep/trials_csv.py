"""`trials.csv`: the trials of a sweep as a table for people."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from lrtool.printable import cell
from lrtool.runs.folder import RunFolder
from lrtool.runs.sweep.store import StoredTrial

FILE = "trials.csv"


def write_trials(folder: RunFolder, trials: Sequence[StoredTrial]) -> None:
    """Write one row a trial: number, variant, seed, every key that varies, status, cost, final values, message."""
    settings = list(dict.fromkeys(key for trial in trials for key in trial.settings if key != "variant"))
    values = list(dict.fromkeys(name for trial in trials for name in trial.values))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ["trial", "variant", "seed", *settings, "status", "steps", "seconds", *values, "message"]
    writer.writerow(map(cell, names))
    for trial in trials:
        varied = [_cell(trial.settings.get(key)) for key in settings]
        final = [_cell(trial.values.get(name)) for name in values]
        cost = [trial.progress.text, trial.steps, round(trial.seconds, 6)]
        row = [trial.number, trial.variant, _cell(trial.seed), *varied, *cost, *final, trial.message]
        writer.writerow(map(cell, row))
    folder.write_text(FILE, text.getvalue())


def _cell(value: Any) -> Any:
    """Numbers and text as they are, mappings and lists as JSON, nothing as an empty cell."""
    return "" if value is None else json.dumps(value) if isinstance(value, dict | list) else value
