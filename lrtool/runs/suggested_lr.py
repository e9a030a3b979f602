"""The LR that another run suggests, for a training that takes it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from lrtool.errors import UsageError
from lrtool.runs.folder import RunFolder


def lr_from(path: Path, schedule: str = "") -> float:
    """The LR that a range test or a tune suggests; UsageError where it suggests none, with its reason.

    Of `outputs/<name>` or its `latest` it is the newest run that suggests one: trainings may have come after it.
    `schedule`: the kind that it is for; where the run tuned several, it is that one's, else the best one's.
    """
    folder = _suggesting(path)
    found = folder.summary()
    lr = _tuned(found).get(schedule, found.get("suggested_lr"))
    if _is_lr(lr):
        return float(lr)
    if isinstance(lr, int | float):
        raise UsageError(
            f"the summary is damaged: the LR that it suggests is {lr!r:.60}, not a number above 0",
            where=str(folder.path),
            remedy="run again, or give one with --set optimizer.lr=…",
        )
    if "suggested_lr" in found:
        raise UsageError(
            f"this run suggests no LR: {found.get('reason') or 'no reason given'}",
            where=str(folder.path),
            remedy="give one with --set optimizer.lr=…",
        )
    raise UsageError(
        f"this is a {found.get('command')} run, which suggests no LR",
        where=str(folder.path),
        remedy="give the folder of a range-test or tune run",
    )


def lr_is_of(path: Path, schedule: str) -> str:
    """The kind of schedule whose LR `lr_from` gives: the one asked for, unless a tune found LRs for others only."""
    tuned = _tuned(_suggesting(path).summary())
    return schedule if schedule in tuned or not tuned else next(iter(tuned))


def lr_source(path: Path, schedule: str) -> str:
    """Where the LR that `lr_from` gives comes from, in words."""
    folder = _suggesting(path)
    found = folder.summary()
    kind = schedule if schedule in _tuned(found) else next(iter(_tuned(found)), "")
    return f"suggested by {found['command']}{f' under {kind}' if kind else ''}, {_from_here(folder.path)}"


def _from_here(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _suggesting(path: Path) -> RunFolder:
    """The run that is meant: the one of this folder, or of a folder of runs the newest that suggests an LR."""
    newest = RunFolder.open(path)
    if not (path.is_symlink() or path.resolve() != newest.path):
        return newest
    beside = sorted(newest.path.parent.glob("*/summary.json"), key=lambda file: file.parent.name, reverse=True)
    for file in beside:
        with contextlib.suppress(UsageError):  # one that is damaged is not meant
            run = RunFolder.open(file.parent)
            if not file.parent.is_symlink() and _is_lr(run.summary().get("suggested_lr")):
                return run
    return newest


def _tuned(summary: Mapping[str, Any]) -> dict[str, float]:
    """The LRs that a tune found, by kind of schedule, the best one first; none of a range test."""
    each = summary.get("schedules", ())
    found = (
        {part.get("name"): part.get("suggested_lr") for part in each if isinstance(part, dict)}
        if isinstance(each, list)
        else {}
    )
    return {kind: lr for kind, lr in found.items() if isinstance(kind, str) and _is_lr(lr)}


def _is_lr(value: object) -> TypeGuard[float]:
    # Compared, as an int may be too long for a float.
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < sys.float_info.max
