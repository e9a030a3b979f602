"""`lrtool runs`: what was run, newest first."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrtool.cli.common import JsonOption, OutputOption, QuietOption, print_json, say

if TYPE_CHECKING:
    from lrtool.runs.listing import ListedRun


def command(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The same as --output.", show_default=False)
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Only runs of this name.")] = None,
    of: Annotated[
        str | None, typer.Option("--command", metavar="COMMAND", help="Only runs of this command: train, tune, …")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="The newest so many; 0: all.")] = 20,
    output: OutputOption = Path("outputs"),
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """List runs, newest first: name, command, when, status, LR, loss; with --quiet only their folders.

    The LR is the peak that was trained with, or the one that a range test or a tune suggests; of a sweep, that of its
    leading variant. A run without a result is `running`, or was `killed`.
    """
    from lrtool.api.look import list_runs

    place = folder or output
    runs = list_runs(place, name=name, command=of)
    shown = list(islice(runs, min(limit, sys.maxsize) or None))
    if as_json:
        print_json([vars(run) for run in shown])
    elif quiet:
        say("\n".join(run.folder for run in shown)) if shown else None
    elif not shown:
        say(f"there are no such runs in {place}")
    else:
        say(_table(shown))
        if next(runs, None) is not None:
            say(f"… and older ones (--limit 0 lists all; {limit} are shown)")


def _table(runs: Sequence[ListedRun]) -> str:
    from lrtool.report.plots.style import number

    rows = [("name", "command", "when", "status", "lr", "loss", "folder")]
    for run in runs:
        lr, loss = (number(each) if each is not None else "" for each in (run.lr, run.loss))
        rows.append((run.name, run.command, run.when, run.status, lr, loss, Path(run.folder).name))
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    signs = "<<<<>><"
    return "\n".join(
        "  ".join(f"{cell:{sign}{width}}" for cell, sign, width in zip(row, signs, widths, strict=True)).rstrip()
        for row in rows
    )
