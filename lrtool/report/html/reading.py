"""Run folders → records, whatever state they are in: still going, half written, of an older version."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lrtool.errors import LrtoolError, UsageError
from lrtool.report.html.record import RunRecord, TrialRecord
from lrtool.report.html.trials import metrics_trials, sweep_trials
from lrtool.runs import links
from lrtool.runs.folder import RunFolder
from lrtool.runs.manifest import check_file, check_not_removed
from lrtool.runs.summary import SCHEMA, read_summary

_STORE = "sweep.sqlite"
_COMMAND = re.compile(r"-(range-test|train|tune|sweep|transfer)(-\d+)?$")


def read_runs(patterns: Sequence[str]) -> tuple[list[RunRecord], list[str]]:
    """The records of run folders and globs of them, and what a reader should know.

    A folder of runs, such as `outputs/digits`, stands for its newest. Raises UsageError where a pattern leads to no
    run, or not one run can be read.
    """
    records: list[RunRecord] = []
    notes: list[str] = []
    seen: set[Path] = set()
    for pattern in patterns:
        for path in _matches(pattern):
            folder = _folder(path)
            if folder.parent == path.resolve():
                notes.append(f"of {path} the newest run is shown; write '{path}/*' for all")
            if folder in seen:
                continue
            seen.add(folder)
            try:
                records.append(read_run(folder))
            except UsageError as error:
                notes.append(f"left out: {error}")
    if not records:
        raise UsageError("there is no run that can be shown", remedy="; ".join(notes) or "give run folders")
    return records, notes


def read_run(folder: Path) -> RunRecord:
    """One run folder; raises UsageError where a newer lrtool wrote it."""
    notes: list[str] = []
    summary = _summary(folder, notes)
    config = _config(folder, notes)
    is_sweep = (folder / _STORE).is_file()
    found = _COMMAND.search(folder.name)
    command = str(summary.get("command") or ("sweep" if is_sweep else found[1] if found else "run"))
    reads = sweep_trials if is_sweep else metrics_trials
    trials: Sequence[TrialRecord] = ()
    higher: Mapping[str, bool] = {}
    try:
        trials, higher = reads(folder, command, summary, config, notes)
    except LrtoolError as error:
        notes.append(str(error))
    if not summary and not any("summary" in note for note in notes):
        notes.append(_unfinished(trials))
    base = config.get("base")
    name = config.get("name") or (base.get("name") if isinstance(base, Mapping) else None) or folder.parent.name
    return RunRecord(
        folder, str(name), command, str(summary.get("status", "no summary")), summary, config,
        _json(folder / "environment.json", notes), trials, higher, tuple(notes),
    )  # fmt: skip


def _unfinished(trials: Sequence[TrialRecord]) -> str:
    steps = sum(trial.steps for trial in trials)
    what = f"{len(trials)} trials, {steps:,} updates" if len(trials) != 1 else f"{steps:,} updates"
    return (
        f"the run has no summary yet: it is still going, or was stopped; shown are the {what} so far,"
        " which are checked when it goes on"
    )


def _matches(pattern: str) -> Iterator[Path]:
    """The folders of a path or a glob; of a glob, only those that hold a run."""
    if not any(sign in pattern for sign in "*?[") or Path(pattern).exists():
        yield Path(pattern)
        return
    start = Path(Path(pattern).anchor)
    found = sorted(start.glob(str(Path(pattern).relative_to(start))))
    # Links such as `latest` lead to folders that are matched themselves.
    runs = [path for path in found if (path / "config.yaml").is_file() and not path.is_symlink()]
    if not runs:
        what = f"no run folder matches, of {len(found)} files and folders that do" if found else "nothing matches"
        raise UsageError(what, where=pattern, remedy="write for example 'outputs/digits-mlp/*'")
    yield from runs


def _folder(path: Path) -> Path:
    """The run folder that a path leads to: itself, a `latest`, or the newest of a folder of runs."""
    for candidate in (path, path / "latest"):
        target = candidate
        if candidate.name == "latest" and candidate.is_file():
            target = candidate.parent / Path(candidate.read_text(errors="replace").strip()).name
        if (target / "config.yaml").is_file():
            return target.resolve()
    what = "there is no such folder" if not path.exists() else "this is not a run folder (it has no config.yaml)"
    raise UsageError(what, where=str(path), remedy="give a folder that lrtool wrote, such as outputs/digits-mlp/latest")


def _summary(folder: Path, notes: list[str]) -> dict[str, Any]:
    """The summary; empty where there is none or it is damaged; UsageError where a newer lrtool wrote it."""
    path = folder / "summary.json"
    if not path.is_file():
        return _missing(path, notes)
    try:
        return read_summary(path)
    except UsageError as error:
        schema = _json(path, []).get("schema")
        if isinstance(schema, int) and schema > SCHEMA:
            raise
        notes.append(str(error))
        return {}


def _config(folder: Path, notes: list[str]) -> dict[str, Any]:
    """The config as it was written; it is not checked, so that those of other versions can be shown."""
    from lrtool.config.document import read_document

    try:
        RunFolder(folder).verify("config.yaml")
        return dict(read_document(folder / "config.yaml").data)
    except LrtoolError as error:
        notes.append(f"the config cannot be read: {error}")
        return {}


def _json(path: Path, notes: list[str]) -> dict[str, Any]:
    """A JSON file that holds a mapping; empty, and a note, where it does not."""
    try:
        links.check_file(path, in_place=False)
        data = path.read_bytes()
        check_file(path, data)
        found = json.loads(data)
    except OSError:
        return _missing(path, notes)
    except UsageError as error:
        notes.append(str(error))
        return {}
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    notes.append(f"{path.name} is damaged and left out")
    return {}


def _missing(path: Path, notes: list[str]) -> dict[str, Any]:
    """Nothing, and a note where the run had written this file."""
    try:
        check_not_removed(path)
    except UsageError as error:
        notes.append(str(error))
    return {}
