"""Run folders read back as the data of their plots."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrtool.config.document import read_document
from lrtool.runs.metrics import read_metrics

if TYPE_CHECKING:
    from lrtool.analysis.range_test_result import RangeTestResult

Array = NDArray[np.float64]


def title_of(folder: Path) -> str:
    """The name of the run, as its config has it."""
    return str(_config(folder).get("name", folder.name))


def read_range_test(folder: Path) -> RangeTestResult:
    """What a range test's ramp says, from `metrics.csv`; what short trainings added stands in the summary alone."""
    from lrtool.analysis.range_test import analyse

    settings = _config(folder).get("range_test", {})
    seeds, steps = int(settings.get("seeds", 1)), int(settings.get("steps", 2))
    table = read_metrics(folder / "metrics.csv")
    losses, lrs = np.full((seeds, steps), np.nan), np.full(steps, np.nan)
    for seed in range(seeds):
        rows = table["trial"] == seed
        known = rows & (table["step"] < steps)
        at = table["step"][known].astype(np.int64)
        losses[seed, at] = np.where(np.isfinite(table["train_loss"][known]), table["train_loss"][known], np.nan)
        lrs[at] = table["lr"][known]
    reached = int(np.isfinite(lrs).sum())
    # Seeds that the budget did not hold have no rows, and those after the ramp's are short trainings.
    ramps = [row for row in losses if np.isfinite(row).any()] or [losses[0]]
    return analyse(lrs[:reached], np.array(ramps)[:, :reached], float(settings.get("smoothing", 0.9)))


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
    return read_document(folder / "config.yaml").data
