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
    from lrtool.report.html.page import Page
    from lrtool.report.html.render import render
    from lrtool.runs.atomic import write_text

    target = output / "report.html" if output.is_dir() else output
    page = Page.of(runs)
    write_text(target, render(page))
    size = target.stat().st_size
    if as_json:
        trials = len(page.trials)
        print_json(
            {"command": "report", "file": str(target), "bytes": size, "runs": [str(run.path) for run in page.runs],
             "trials": trials, "answers": list(page.answers), "notes": list(page.notes)}
        )  # fmt: skip
    else:
        say(page.answers[0])
        for note in () if quiet else page.notes:
            say(f"note: {note}", err=True)
        say(f"report: {target} ({size / 1e6:.1f} MB)")
    if show:
        _open(target, quiet)


def _open(target: Path, quiet: bool) -> None:
    import webbrowser

    if not webbrowser.open(target.resolve().as_uri()) and not quiet:
        say(f"note: no browser could be started; open {target} yourself", err=True)
