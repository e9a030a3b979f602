"""`lrtool report`: one self-contained HTML file of any mix of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lrtool.cli.common import JsonOption, QuietOption, print_json, say


def command(
    runs: Annotated[list[str], typer.Argument(metavar="RUN…", help="Run folders of any command, or globs of them.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The HTML file to write; one that is there is replaced."),
    ] = Path("report.html"),
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write one HTML file that shows range tests, tunes, trainings and sweeps, and works offline.

    It begins with the answer in a sentence. Then come interactive charts (curves, loss over LR with bounds and the
    suggestion, heat maps, parallel coordinates), tables to sort and filter, config differences, the environment, and
    the commands to reproduce. Runs that are still going, or were stopped, are shown as far as they got.
    """
    from lrtool.api.report import html_report

    report = html_report(runs, output)
    if as_json:
        print_json(report.document())
    else:
        say(report.answer)
        for note in () if quiet else report.notes:
            say(f"note: {note}", err=True)
        say(f"report: {report.file} ({report.bytes / 1e6:.1f} MB)")
    if show and not report.open() and not quiet:
        say(f"note: no browser could be started; open {report.file} yourself", err=True)
