"""Run folders read back as the data of their plots."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrtool.config.document import read_document
from lrtool.config.settings import RangeTestSettings
from lrtool.runs.folder import RunFolder
from lrtool.runs.metrics import read_metrics

if TYPE_CHECKING:
    from lrtool.analysis.range_test_result import Probe, RangeTestResult

Array = NDArray[np.float64]


def title_of(folder: Path) -> str:
    """The name of the run, as its config has it."""
    return str(_config(folder).get("name", folder.name))


def read_range_test(folder: Path) -> RangeTestResult:
    """What a range test's ramp says, from `metrics.csv`; what short trainings added stands in the summary alone."""
    from lrtool.analysis.range_test import analyse

    settings = RangeTestSettings.model_validate(_config(folder).get("range_test", {}))
    table = read_metrics(folder / "metrics.csv")
    losses, lrs = np.full((settings.seeds, settings.steps), np.nan), _ramp(settings)
    for seed in range(settings.seeds):
        # Trials after the seeds' are short trainings; a seed that the budget did not hold has no rows.
        rows = (table["trial"] == seed) & (table["step"] < settings.steps)
        at, loss = table["step"][rows].astype(np.int64), table["train_loss"][rows]
        if np.allclose(table["lr"][rows], lrs[at], rtol=1e-9):
            losses[seed, at] = np.where(np.isfinite(loss), loss, np.nan)
    ramps = [row for row in losses if np.isfinite(row).any()] or [losses[0]]
    return analyse(lrs, np.array(ramps), settings.smoothing, methods=settings.methods)


def read_probes(folder: Path) -> tuple[Probe, ...]:
    """The short trainings of a range test; none where there were none."""
    from lrtool.analysis.range_test_result import Probe

    path = folder / "probes.csv"
    RunFolder(folder).verify(path.name)
    if not path.is_file():
        return ()
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return tuple(Probe(float(row["lr"]), int(row["seed"]), int(row["steps"]), float(row["loss"])) for row in rows)


def _ramp(settings: RangeTestSettings) -> Array:
    """The LR of each update of a ramp."""
    spaced = np.geomspace if settings.ramp == "exponential" else np.linspace
    table: Array = spaced(settings.start, settings.end, settings.steps)
    return table


def validation_along(folder: Path, found: RangeTestResult) -> list[tuple[Array, Array]]:
    """Validation losses along the ramp, a pair (LRs, losses) of each seed that has any."""
    table = read_metrics(folder / "metrics.csv")
    if "val_loss" not in table or _config(folder).get("range_test", {}).get("val_every") in (0, "0", None):
        return []
    curves = []
    for seed in range(len(found.losses)):
        rows = (table["trial"] == seed) & np.isfinite(table["val_loss"])
        if rows.any():
            curves.append((table["lr"][rows], table["val_loss"][rows]))
    return curves


def trained(folder: Path) -> list[dict[str, Any]]:
    """Of each trial in `metrics.csv`: its peak LR, its updates, and its last losses."""
    table = read_metrics(folder / "metrics.csv")
    rows = []
    for trial in np.unique(table["trial"]):
        own = {name: values[table["trial"] == trial] for name, values in table.items()}
        val = own.get("val_loss", np.empty(0))
        known = val[np.isfinite(val)]
        rows.append(
            {
                "trial": int(trial),
                "lr": float(own["lr"].max()),
                "steps": len(own["step"]),
                "train_loss": float(own["train_loss"][-1]),
                "val_loss": float(known[-1]) if known.size else None,
            }
        )
    return rows


def _config(folder: Path) -> dict[str, Any]:
    RunFolder(folder).verify("config.yaml")
    return read_document(folder / "config.yaml").data
