"""The trials of a run folder: rows of its `metrics.csv`, or what a sweep's database holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lrtool.report.html.record import Array, TrialRecord, flattened
from lrtool.runs.metrics import final_train_loss, read_metrics

Read = tuple[list[TrialRecord], Mapping[str, bool]]

#: A ramp's LR rises at least so many times from its first to its last update.
_RISES = 4.0


def sweep_trials(
    folder: Path, command: str, summary: Mapping[str, Any], config: Mapping[str, Any], notes: list[str]
) -> Read:
    """The trials of a sweep; can be read while it runs."""
    from lrtool.runs.sweep.store import HIGHER_IS_BETTER, read_fact, read_trials

    base = dict(flattened(config.get("base")))
    trials = []
    for each in read_trials(folder, notes.append):
        curve = {name: np.asarray(column, dtype=np.float64) for name, column in each.curve.items()}
        own = {key: value for key, value in each.settings.items() if key not in ("seed", "variant")}
        seed = each.seed if each.seed is not None else base.get("seed")
        trials.append(
            TrialRecord(
                each.number, each.variant, "training", seed, each.progress.text, each.steps, each.seconds,
                {**base, **_flat_settings(own)}, each.values, curve, each.message,
            )
        )  # fmt: skip
    return trials, _flags(read_fact(folder, HIGHER_IS_BETTER))


def metrics_trials(
    folder: Path, command: str, summary: Mapping[str, Any], config: Mapping[str, Any], notes: list[str]
) -> Read:
    """The trials of any other run: one of `train`, a ramp for each seed and short trainings of the others."""
    table = read_metrics(folder / "metrics.csv")
    flat = dict(flattened(config))
    alone = command == "train"
    trials = []
    ramps = not alone
    for number, rows in _by_trial(table):
        ramps = ramps and _is_ramp(rows["lr"])
        values = _values(rows, summary if alone else {})
        diverged = bool(len(rows["train_loss"]) and not np.isfinite(rows["train_loss"][-1]))
        status = str(summary.get("status", "no summary")) if alone else "diverged" if diverged else "finished"
        kind = "ramp" if ramps else "training" if alone else "short training"
        settings = flat if alone else {**flat, "optimizer.lr": _peak(rows["lr"])}
        trials.append(
            TrialRecord(
                number, _group(config, ramps, rows, alone), kind,
                flat.get("seed") if alone else number if ramps else None, status, len(rows["step"]),
                float(np.nansum(rows["seconds"])), settings, values, _curve(rows),
            )
        )  # fmt: skip
    return trials, _flags(summary.get("higher_is_better"))


def _by_trial(table: Mapping[str, Array]) -> Iterator[tuple[int, dict[str, Array]]]:
    """The rows of each trial, in order of their steps; trials that train side by side are written interleaved."""
    order = np.lexsort((table["step"], table["trial"]))
    numbers = table["trial"][order]
    starts = np.flatnonzero(np.diff(numbers, prepend=np.nan) != 0)
    for start, end in zip(starts, np.append(starts[1:], len(numbers)), strict=True):
        rows = order[start:end]
        yield int(numbers[start]), {name: column[rows] for name, column in table.items()}


def _curve(rows: Mapping[str, Array]) -> dict[str, Array]:
    left_out = ("trial", "step", "epoch", "seconds")
    return {"step": rows["step"] + 1, **{name: column for name, column in rows.items() if name not in left_out}}


def _values(rows: Mapping[str, Array], summary: Mapping[str, Any]) -> dict[str, float]:
    """Final values as the summary has them; else the last ones measured."""
    final = summary.get("final")
    if isinstance(final, Mapping):
        return {str(name): float(value) for name, value in final.items() if name != "step" and _is_number(value)}
    found = {"train_loss": final_train_loss(rows["train_loss"])}
    for name, column in rows.items():
        known = column[np.isfinite(column)]
        if name.startswith("val_") and len(known):
            found[name] = float(known[-1])
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _group(config: Mapping[str, Any], ramp: bool, rows: Mapping[str, Array], alone: bool) -> str:
    if ramp:
        return "LR ramp"
    if not alone:
        return f"trainings of {len(rows['step']):,} updates"
    schedule = config.get("schedule")
    kind = schedule.get("kind") if isinstance(schedule, Mapping) else schedule
    return f"{config.get('name', 'run')}, {kind or 'constant'}"


def _is_ramp(lr: Array) -> bool:
    return bool(len(lr) > 1 and (np.diff(lr) > 0).all() and lr[-1] > _RISES * max(lr[0], 0))


def _peak(lr: Array) -> float | None:
    known = lr[np.isfinite(lr)]
    return float(known.max()) if len(known) else None


def _flat_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for key, inner in settings.items() for name, value in flattened(inner, key)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _flags(found: Any) -> dict[str, bool]:
    known = found if isinstance(found, Mapping) else {}
    return {str(name): value for name, value in known.items() if isinstance(value, bool)}
