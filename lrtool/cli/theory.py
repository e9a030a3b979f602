"""`lrtool theory`: what schedules should do, before paying for it. Never imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lrtool.cli.common import JsonOption, QuietOption, print_json, say
from lrtool.cli.parts.commands import Command, Commands

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
    _show(found.document(), found.text(), found.answer, found.notes, as_json, quiet)
    for path in written:
        say(f"wrote {path}", err=True)


OutputFolder = Annotated[Path, typer.Option("--output", "-o", help="Folder that a folder theory/… is made in.")]
MetricOption = Annotated[
    str | None,
    typer.Option(
        "--metric", metavar="COLUMN", help="The loss: a column, such as val_loss.  [default: train_loss, or loss]"
    ),
]
RunsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN|FILE…",
        help="Finished trainings, or CSV files with the columns step, lr and loss.",
        show_default=False,
    ),
]


@app.command(cls=Command)
def predict(
    runs: RunsArgument = None,
    config: Annotated[
        list[str] | None,
        typer.Option(
            "--config",
            "-c",
            metavar="TARGET",
            help="What to predict: a config, a kind with its fields, a run, a CSV file with step and lr; repeatable.",
        ),
    ] = None,
    optimize: Annotated[
        bool, typer.Option("--optimize", help="Also find the schedule with the lowest predicted loss, for `train`.")
    ] = False,
    steps: Annotated[
        str | None, typer.Option("--steps", "-n", help="Updates of the targets, or epochs as 5ep.  [default: theirs]")
    ] = None,
    steps_per_epoch: Annotated[
        int | None, typer.Option("--steps-per-epoch", help="Updates of an epoch.  [default: as in the runs]")
    ] = None,
    metric: MetricOption = None,
    output: OutputFolder = Path("outputs"),
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Predict the loss curves of other schedules and lengths, by a law fitted to two or three finished runs.

    The multi-power law and the momentum law of annealing are fitted; the one that predicts each run best from the
    others is used. Runs should differ in their schedules: a constant LR, a cosine, one that drops.
    """
    from lrtool.report.theory.prediction import LawPrediction

    found = LawPrediction.of(
        runs or [], config or [], optimize, steps, steps_per_epoch, metric, _progress(quiet or as_json)
    )
    folder, commands = found.write(output)
    _show(found.document() | {"folder": str(folder)}, found.text(), found.answer, found.notes, as_json, quiet)
    for line in () if as_json else commands:
        say(f"train with the best schedule: {line}")
    say(f"wrote {folder}", err=True)


@app.command(cls=Command)
def backtest(
    runs: RunsArgument = None,
    test: Annotated[
        list[str] | None,
        typer.Option(
            "--test", metavar="RUN|FILE", help="Predict this run from the others, and leave none out; repeatable."
        ),
    ] = None,
    metric: MetricOption = None,
    output: OutputFolder = Path("outputs"),
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Leave each run out, predict it by the laws fitted to the others, and say how far off that is."""
    from lrtool.report.theory.backtest import Backtest

    found = Backtest.of(runs or [], test or (), metric, _progress(quiet or as_json))
    folder = found.write(output)
    _show(found.document() | {"folder": str(folder)}, found.text(), found.answer, found.notes, as_json, quiet)
    say(f"wrote {folder}", err=True)


def _progress(silent: bool) -> Callable[[str], None]:
    """Says what is being done, on stderr."""
    return (lambda _: None) if silent else (lambda text: say(f"{text} …", err=True))


def _show(document: dict[str, Any], text: str, answer: str, notes: Iterable[str], as_json: bool, quiet: bool) -> None:
    """Notes on stderr; on stdout the document, the answer alone, or everything for people."""
    for note in () if quiet else notes:
        say(f"note: {note}", err=True)
    if as_json:
        print_json(document)
    else:
        say(answer if quiet else f"{text}\n{answer}")


@app.command(cls=Command)
def refine(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A training that logged gradient norms (train.grad_norm: true).")
    ],
    norm: Annotated[
        str | None,
        typer.Option("--norm", metavar="l1|l2", help="The norm to follow.  [default: l2 for SGD, l1 for others]"),
    ] = None,
    output: OutputFolder = Path("outputs"),
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make the schedule that theory holds best for the gradient norms that a run had, as a table that `train` takes.

    Where gradients shrink it warms up and decays faster at the end; where their norms stay the same it is a linear
    decay. The peak LR is not part of it: tune it.
    """
    from lrtool.report.theory.refined import Refined

    found = Refined.of(run, _norm(norm))
    folder, commands = found.write(output)
    document = found.document() | {"folder": str(folder), "schedule": str(folder / "schedule.csv")}
    _show(document, found.text(), found.answer, (), as_json, quiet)
    for line in () if as_json else commands:
        say(f"train with it: {line}")
    say(f"wrote {folder}", err=True)


def _norm(text: str | None) -> Literal["l1", "l2"] | None:
    """The norm that an option names."""
    match text.lower() if text is not None else None:
        case None:
            return None
        case "l1":
            return "l1"
        case "l2":
            return "l2"
    from lrtool.errors import UsageError

    raise UsageError(f"there is no norm {text!r}", where="--norm", remedy="write l1 or l2")
