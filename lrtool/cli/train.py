"""`lrtool train`: one run under the schedule."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrtool.cli.common import (
    AllowImportOption,
    ConfigArgument,
    ConfigOption,
    ForceOption,
    FsdpOption,
    JsonOption,
    OutputOption,
    QuietOption,
    ResumeOption,
    SeedOption,
    SetOption,
    TimeLimitOption,
    add_run,
    allowed,
    needed_config,
    one_config,
    print_json,
    say,
)
from lrtool.cli.parts.resuming import nothing_to_do
from lrtool.errors import ExitCode, UsageError
from lrtool.status import Status

if TYPE_CHECKING:
    from lrtool.api.results.train import TrainAnswer
    from lrtool.experiments.train import TrainingRun


def command(
    config: ConfigArgument = None,
    config_option: ConfigOption = None,
    lr_from: Annotated[
        Path | None,
        typer.Option("--lr-from", metavar="RUN", help="Take the LR that this range-test or tune run suggests."),
    ] = None,
    resume: ResumeOption = None,
    force: ForceOption = False,
    extend: Annotated[
        str | None,
        typer.Option(
            "--extend", metavar="3x", help="Go on with a finished RUN, given as CONFIG, to so many times its length."
        ),
    ] = None,
    branch: Annotated[
        Path | None,
        typer.Option("--branch", metavar="RUN", help="Decay from a checkpoint of a run under wsd or a constant LR."),
    ] = None,
    at: Annotated[
        int | None, typer.Option("--at", metavar="UPDATES", help="The checkpoint of --branch.  [default: the last]")
    ] = None,
    init_from: Annotated[
        Path | None,
        typer.Option(
            "--init-from", metavar="RUN|FILE", help="Begin with these weights: a run's best, or a .safetensors file."
        ),
    ] = None,
    init_partial: Annotated[
        bool, typer.Option("--init-partial", help="Take of --init-from what fits by name and shape; the rest is fresh.")
    ] = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="A handful of updates through every stage, for CI; fails if any fails.")
    ] = False,
    fsdp: FsdpOption = False,
    time_limit: TimeLimitOption = None,
    overrides: SetOption = None,
    output: OutputOption = Path("outputs"),
    seed: SeedOption = None,
    allow_import: AllowImportOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train under the schedule; writes loss, metric and LR curves, checkpoints and a summary."""
    from lrtool.api.train import train

    going_on = resume is not None or extend is not None or branch is not None
    path = one_config(config, config_option) if going_on else needed_config(config, config_option, "train")
    answer = train(
        path,
        lr_from=lr_from,
        smoke=smoke,
        resume=resume,
        extend=extend,
        branch=branch,
        at=at,
        force=force,
        seed=seed,
        overrides=[*(overrides or ()), *_begins_with(init_from, init_partial, going_on)],
        allow_import=allowed(allow_import),
        progress=not (quiet or as_json),
        announce=None if as_json else say,
        output=output,
    )
    if answer.nothing_to_do:
        raise typer.Exit(nothing_to_do(answer, as_json, partial(_ended, answer)))
    run = answer.made()
    add_run(run.session.config.name, run.session.folder.path, run.session.summary())
    if as_json:
        print_json({**run.session.summary(), "folder": str(run.session.folder.path)})
    else:
        say(_answer(run, answer.notes))
    if run.session.status is Status.DIVERGED:
        raise typer.Exit(ExitCode.DIVERGED)


def _begins_with(path: Path | None, partial: bool, going_on: bool) -> list[str]:
    """The overrides that say which weights to begin with; a run that goes on has its own."""
    if going_on and path is not None:
        raise UsageError(
            "a run that goes on has weights", where="--init-from", remedy="leave it out, or start a new run"
        )
    if path is None:
        return _refused_alone() if partial else []
    if not path.exists():
        raise UsageError(
            "there is no such file or folder",
            where=str(path),
            remedy="give the folder of a run, or a .safetensors file",
        )
    flag = ["init.partial=true"] if partial else []
    return [f"init.path={json.dumps(str(path.resolve() if path.is_dir() else path.absolute()))}", *flag]


def _refused_alone() -> list[str]:
    raise UsageError("--init-partial says how to take the weights of --init-from", remedy="give that too")


def _ended(answer: TrainAnswer, summary: Mapping[str, Any]) -> str:
    """How a run that is over had ended."""
    reason = f": {summary['reason']}" if summary["reason"] else ""
    return (
        f"this run {summary['status']} after {summary['steps']} updates{reason}\n"
        f"plots and data: {(answer.folder or Path()) / 'curves.png'}"
    )


def _answer(run: TrainingRun, notes: Iterable[str]) -> str:
    """The result in a few lines."""
    session = run.session
    lines = [f"{session.status} after {session.steps} updates" + (f": {session.reason}" if session.reason else "")]
    for name in ("final", "best"):
        entry = session.results.get(name)
        if entry:
            values = "  ".join(f"{key} {value:.4g}" for key, value in entry.items() if key != "step")
            lines.append(f"  {name:6} after {entry['step']:6} updates   {values}")
    lines += [f"note: {note}" for note in notes]
    lines.append(f"plots and data: {session.folder.path / 'curves.png'}")
    return "\n".join(lines)
