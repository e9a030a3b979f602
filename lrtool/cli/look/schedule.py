"""`lrtool schedule`: list, show, explain and export schedules. Never imports torch."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lrtool import streams
from lrtool.cli.common import JsonOption, QuietOption, print_json, say
from lrtool.cli.parts.commands import Command, Commands

app = typer.Typer(
    cls=Commands,
    help="Look at learning-rate schedules, and write them as code for other libraries.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def complete_schedule(incomplete: str) -> list[str]:
    """Kinds of schedules that begin so, for the shell."""
    from lrtool.schedules import KINDS

    return [kind for kind in KINDS.kinds if kind.startswith(incomplete)]


Items = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CONFIG|KIND [KEY=VALUE …] …",
        help="A config or a kind, then fields of its schedule; and the next, for several.",
        show_default=False,
    ),
]
Lr = Annotated[float | None, typer.Option("--lr", help="Peak LR.  [default: the config's, else 0.1]")]
Steps = Annotated[
    str | None, typer.Option("--steps", "-n", help="Updates, or epochs as 5ep.  [default: the config's, else 1000]")
]
PerEpoch = Annotated[int | None, typer.Option("--steps-per-epoch", help="Updates of an epoch.")]


@app.command("list", cls=Command)
def list_kinds(as_json: JsonOption = False, quiet: QuietOption = False) -> None:
    """List every kind of schedule with its shape; with --quiet only their names."""
    if as_json or quiet:
        from lrtool.api.schedules import schedule_kinds

        kinds = schedule_kinds()
        print_json([asdict(each) for each in kinds]) if as_json else say("\n".join(each.kind for each in kinds))
        return
    from lrtool.report.schedules.text import kinds_listed

    say(f"{kinds_listed(_width(140))}\n\nlrtool schedule explain KIND tells all about one.")


@app.command(cls=Command)
def explain(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="A kind of schedule, or its name in another library.",
            show_default=False,
            autocompletion=complete_schedule,
        ),
    ],
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Explain a kind: formula, fields, when it helps and hurts, reference, the same in other libraries."""
    from lrtool.api.schedules import explain_schedule
    from lrtool.report.schedules.parity import PLATEAU, PLATEAU_HERE

    if kind in PLATEAU:
        what = f"{kind} follows what training measures, so it is no schedule: write beside it"
        if as_json:
            print_json({"kind": None, "summary": what, "config": PLATEAU_HERE})
        else:
            say(f"{what}\n\n  {PLATEAU_HERE}")
        return
    found = explain_schedule(kind)
    if found.kind != kind and not quiet:
        say(f"{kind} is {found.kind} here", err=True)
    if as_json:
        print_json(asdict(found))
        return
    from lrtool.report.schedules.text import explained

    say(explained(found.kind, _width(110)).rstrip("\n"))


@app.command(cls=Command)
def show(
    items: Items = None,
    lr: Lr = None,
    steps: Steps = None,
    steps_per_epoch: PerEpoch = None,
    log: Annotated[bool, typer.Option("--log", help="Draw the LR on a log axis.")] = False,
    png: Annotated[Path | None, typer.Option("--png", help="Write the plot to this file.")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", help="Write the plot to this file.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the values to this file.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write schedule.png, .svg and .csv to this folder.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draw one or several schedules, in the terminal and to files."""
    from lrtool.api.schedules import show_schedules
    from lrtool.report.schedules.preview import check_endings

    check_endings(png=png, svg=svg, csv=csv)
    preview = show_schedules(items or [], lr=lr, steps=steps, steps_per_epoch=steps_per_epoch)
    for note in () if quiet else preview.notes:
        say(f"note: {note}", err=True)
    written = [str(path) for path in preview.write(log, png=png, svg=svg, csv=csv, folder=output)]
    if as_json:
        print_json(preview.summary())
    elif not quiet:
        say(preview.text(log, _width(100)).rstrip("\n"))
    for path in written:
        say(f"wrote {path}", err=True)


@app.command(cls=Command)
def export(
    items: Items = None,
    to: Annotated[str, typer.Option("--to", help="torch, transformers, lightning, optax or csv.")] = "torch",
    lr: Lr = None,
    steps: Steps = None,
    steps_per_epoch: PerEpoch = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file, not to stdout.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a schedule as code for another library, or as a table: the same numbers without lrtool."""
    from lrtool.integrations.export import export_schedule

    made = export_schedule(items or [], to, lr=lr, steps=steps, steps_per_epoch=steps_per_epoch)
    if output is not None:
        from lrtool.report.schedules.preview import write_file

        write_file(output, made.text.encode())
    if as_json:
        print_json({**asdict(made), "written": output and str(output)})
    elif output is None:
        streams.write_document(made.text)
    elif not quiet:
        say(f"wrote {output}", err=True)


def _width(most: int) -> int:
    """Columns there are, at most so many; as many where nobody looks."""
    import shutil

    return min(shutil.get_terminal_size((most, 24)).columns, most)
