"""`lrtool theory`: what schedules should do, before paying for it. Never imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lrtool.cli.common import Command, Commands, JsonOption, QuietOption, print_json, say

app = typer.Typer(
    cls=Commands,
    help="What theory says of schedules: bounds, refined schedules, predicted loss curves.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command(cls=Command)
def bound(
    items: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CONFIG|RUN|KIND [KEY=VALUE …] …",
            help="A config, a run folder or a kind, then fields of its schedule; and the next, for several.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        list[str] | None,
        typer.Option(
            "--steps",
            "-n",
            help="Updates, or epochs as 5ep; repeatable, to compare lengths.  [default: the config's, else 1000]",
        ),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option("--lr", help="Peak LR that absolute levels are parts of.  [default: the config's, else 0.1]"),
    ] = None,
    steps_per_epoch: Annotated[int | None, typer.Option("--steps-per-epoch", help="Updates of an epoch.")] = None,
    grad_norms: Annotated[
        Path | None,
        typer.Option("--grad-norms", metavar="RUN", help="Take the gradient norms that this training has logged."),
    ] = None,
    grad_norm: Annotated[
        float, typer.Option("--grad-norm", help="G, where none are measured: it scales γ* and Ω*.")
    ] = 1.0,
    distance: Annotated[
        float, typer.Option("--distance", help="D, from the start to a minimiser: it scales both too.")
    ] = 1.0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write bound.png, .svg and .csv to this folder.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Rank schedules by the convergence bound of their last iterate, and say how their best LRs compare.

    γ* is the peak LR at which the bound is least, Ω* the bound there. Both are in units of D and G, which nobody knows
    of a network; the ranking and the ratios of best LRs, between schedules or lengths, need neither.
    """
    from lrtool.report.theory.bound import BoundRanking

    found = BoundRanking.of(items or [], lr, steps or (), steps_per_epoch, grad_norms, grad_norm, distance)
    written = found.write(output) if output is not None else []
    for note in () if quiet else found.notes:
        say(f"note: {note}", err=True)
    if as_json:
        print_json(found.document())
    elif quiet:
        say(found.answer)
    else:
        say(f"{found.text()}\n{found.answer}")
    for path in written:
        say(f"wrote {path}", err=True)
