"""What stands in tables below the charts: config differences, environments, and the commands to reproduce runs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from lrtool.report.html.record import RunRecord, flattened

#: Runs whose settings stand side by side; more would not fit on any page.
MOST_RUNS = 30


@dataclass(frozen=True)
class KeyTable:
    """Keys, and what each run has there: `rows` of key and one text for each of `heads`."""

    heads: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class Reproduction:
    """How to make a run again: the command lines, and what they need."""

    run: str
    lines: Sequence[str]


def config_differences(runs: Sequence[RunRecord]) -> KeyTable:
    """The keys in which the configs of these runs differ; of one run, its whole config."""
    shown = runs[:MOST_RUNS]
    tables = [_whole(run) for run in shown]
    return _table([run.label for run in shown], tables, only_differing=len(shown) > 1)


def _whole(run: RunRecord) -> dict[str, Any]:
    """A run's config; of a sweep its base, under the same keys as others have, and what it varies."""
    return {**run.flat, **dict(flattened({key: value for key, value in run.config.items() if key != "base"}))}


def environments(runs: Sequence[RunRecord]) -> tuple[KeyTable, KeyTable]:
    """What is the same in the environments of all runs, and what differs."""
    shown = runs[:MOST_RUNS]
    left_out = ("command_line", "working_directory")
    tables = [
        {key: value for key, value in flattened(run.environment) if key not in left_out and value is not None}
        for run in shown
    ]
    differing = _table([run.label for run in shown], tables, only_differing=True)
    keys = {key for key, _ in differing.rows}
    same = {key: value for key, value in tables[0].items() if key not in keys}
    what = "all runs" if len(shown) > 1 else shown[0].label
    return KeyTable([what], [(key, [as_words(value)]) for key, value in same.items()]), differing


def recipe(run: RunRecord) -> Reproduction:
    """The command lines that make a run again: as it was started, and from the config that it kept."""
    lines = []
    commit, folder = run.environment.get("git_commit"), run.environment.get("working_directory")
    versions = run.environment.get("versions")
    if isinstance(versions, Mapping):
        known = [f"{name}=={_plain(versions[name])}" for name in ("lrtool", "torch", "numpy") if versions.get(name)]
        lines.append(f"pip install {shlex.join(known)}" if known else "")
    if commit:
        lines.append(f"git checkout {shlex.quote(str(commit))}")
    started = run.environment.get("command_line")
    if isinstance(started, list) and started and run.command != "run":
        where = f"cd {shlex.quote(str(folder))} && " if folder else ""
        lines.append(f"{where}{shlex.join(['lrtool', *map(str, started[1:])])}")
    if run.command in ("range-test", "tune", "train", "sweep"):
        lines.append(f"lrtool {run.command} {shlex.quote(str(run.path / 'config.yaml'))}")
    return Reproduction(run.label, [line for line in lines if line])


def _plain(version: Any) -> str:
    """A version without the local part, which no package index has."""
    return str(version).partition("+")[0]


def as_words(value: Any) -> str:
    """A setting as text; nothing for one that is not there."""
    if isinstance(value, PurePath | str):
        return str(value)
    return "" if value is None else json.dumps(value, default=str, ensure_ascii=False)


def _table(heads: Sequence[str], tables: Sequence[Mapping[str, Any]], *, only_differing: bool) -> KeyTable:
    keys = dict.fromkeys(key for table in tables for key in table)
    rows = [(key, [as_words(table.get(key)) for table in tables]) for key in keys]
    return KeyTable(heads, [row for row in rows if not only_differing or len(set(row[1])) > 1])
