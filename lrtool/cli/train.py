"""`lrtool train`: one run under the schedule."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
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
    load,
    needed_config,
    needs_resume,
    print_json,
    say,
)
from lrtool.cli.parts.resuming import is_over, left_behind, nothing_to_do, opened_training
from lrtool.errors import ExitCode, UsageError
from lrtool.status import Status

if TYPE_CHECKING:
    from lrtool.config.schema import Config
    from lrtool.experiments.observers import ObserverFactory
    from lrtool.experiments.resuming.extending import Extension
    from lrtool.experiments.setup import Setup
    from lrtool.experiments.train import TrainingRun
    from lrtool.runs.folder import RunFolder


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
    from lrtool.report.terminal.progress import progress

    folder: RunFolder | None = None
    extension: Extension | None = None
    with ExitStack() as held:
        if resume is not None:
            _alone(config or config_option, lr_from, init_from, seed, smoke)
            folder = opened_training(resume)
            # Before the model and the data are built: that may take a while, and a refusal should not.
            held.enter_context(folder.held())
            setup = _resumed(folder, overrides, allowed(allow_import), force)
            if setup is None:
                raise typer.Exit(nothing_to_do(folder, as_json, partial(_ended, folder)))
        elif extend is not None or branch is not None:
            _alone(lr_from, init_from, seed, smoke, branch is not None and (config or config_option or extend))
            given = branch or needed_config(config, config_option, "train --extend")
            extension = _extension(given, extend, at, overrides, allowed(allow_import), force)
            setup = extension.setup
        else:
            needs_resume(force)
            if at is not None:
                raise UsageError("--at says where --branch begins", where="--at", remedy="give that too")
            path = needed_config(config, config_option, "train")
            overrides = [*(overrides or ()), *_begins_with(init_from, init_partial)]
            setup = _fresh(path, lr_from, overrides, seed, allowed(allow_import))
        if not as_json:
            say(_lr_line(setup))
        with progress(f"{setup.config.name}: training", quiet=quiet or as_json) as watch:
            run = _run(setup, folder or extension, output, smoke, watch, force)
    add_run(setup.config.name, run.session.folder.path, run.session.summary())
    if as_json:
        print_json({**run.session.summary(), "folder": str(run.session.folder.path)})
    else:
        say(_answer(run))
    if run.session.status is Status.DIVERGED:
        raise typer.Exit(ExitCode.DIVERGED)


def _fresh(
    path: Path, lr_from: Path | None, overrides: list[str] | None, seed: int | None, allowed: frozenset[str]
) -> Setup:
    """The setup of a config, with the LR that another run suggests."""
    if lr_from is not None and any(text.startswith("optimizer.lr=") for text in overrides or ()):
        raise UsageError("--lr-from and --set optimizer.lr both give the LR", remedy="leave one out")
    checked = load(path, overrides, seed)

    from lrtool.config.started import remember
    from lrtool.experiments.setup import prepare
    from lrtool.runs.suggested_lr import lr_from as suggested
    from lrtool.runs.suggested_lr import lr_is_of, lr_source

    # The suggestion is read first: where there is none, nothing need be built.
    lr = suggested(lr_from, checked.schedule.kind) if lr_from is not None else None
    if lr_from is not None and (tuned := lr_is_of(lr_from, checked.schedule.kind)) != checked.schedule.kind:
        own = checked.schedule.kind
        say(f"note: {lr_from} did not tune {own}; the LR is that of {tuned}, and may not suit {own}", err=True)

    if lr_from is not None and lr is not None:
        checked = checked.with_lr(lr, lr_source(lr_from, checked.schedule.kind))
    setup = prepare(checked, allowed)
    remember(setup.config, allowed)
    return setup


def _begins_with(path: Path | None, partial: bool) -> list[str]:
    """The overrides that say which weights to begin with."""
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


def _resumed(folder: RunFolder, overrides: list[str] | None, allowed: frozenset[str], force: bool) -> Setup | None:
    """The setup of the config in a run folder, None where it is over."""
    config, known = _as_started(folder, overrides, allowed, force)
    if is_over(left_behind(folder), config):
        return None

    from lrtool.experiments.setup import prepare

    return prepare(config, known)


def _as_started(
    folder: RunFolder, overrides: list[str] | None, allowed: frozenset[str], force: bool
) -> tuple[Config, frozenset[str]]:
    """The config in a run folder, and the code that it may run: that which it was started with.

    Of what the overrides change it refuses all that a run cannot go on with.
    """
    from lrtool.config.load import load_config
    from lrtool.config.started import allowed_again
    from lrtool.runs.changes import check_changes

    config = load_config(folder.config, overrides or (), code_beside=False)
    if overrides and not force:
        before = load_config(folder.config, code_beside=False)
        check_changes(before.model_dump(mode="json"), config.model_dump(mode="json"), str(folder.path))
    known = allowed_again(config, allowed)
    # The run's own config says which LR, not why: that is in what it left behind.
    return config.lr_said(left_behind(folder).get("lr_from") or "as the run was started"), known


def _extension(
    path: Path, length: str | None, at: int | None, overrides: list[str] | None, allowed: frozenset[str], force: bool
) -> Extension:
    """A longer run than the one in this folder, or without a length its decay."""
    if path.is_file():
        raise UsageError(
            "--extend goes on with a run", where=str(path), remedy="give its folder, as outputs/NAME/latest"
        )
    folder = opened_training(path)
    config, known = _as_started(folder, overrides, allowed, force)

    from lrtool.experiments.resuming.extending import branched, extended
    from lrtool.experiments.setup import prepare

    setup = prepare(config, known)
    if length is None:
        return branched(setup, folder, at, force)
    if at is not None:
        raise UsageError("--at says where --branch begins", where="--at", remedy="leave it out")
    return extended(setup, folder, length, force)


def _ended(folder: RunFolder, summary: Mapping[str, Any]) -> str:
    """How a run that is over had ended."""
    reason = f": {summary['reason']}" if summary["reason"] else ""
    return (
        f"this run {summary['status']} after {summary['steps']} updates{reason}\n"
        f"plots and data: {folder.path / 'curves.png'}"
    )


def _lr_line(setup: Setup) -> str:
    """Which peak LR is taken, and where it comes from."""
    from lrtool.report.plots.style import number

    config = setup.config
    shape = "its values are the table's" if config.schedule.kind == "table" else f"schedule {config.schedule.kind}"
    return f"peak lr {number(config.optimizer.lr)} ({config.lr_source}), {shape}, {setup.steps:,} updates"


def _alone(*others: object) -> None:
    if any(others):
        raise UsageError(
            "--resume, --extend and --branch go on with the run as it was configured",
            remedy="leave out CONFIG, --seed, --lr-from, --init-from and --smoke, or start a new run; its length and"
            " schedule may change, as with --set train.duration=40ep",
        )


def _run(
    setup: Setup,
    before: RunFolder | Extension | None,
    output: Path,
    smoke: bool,
    watch: ObserverFactory,
    force: bool,
) -> TrainingRun:
    from lrtool.experiments.resuming.extending import Extension
    from lrtool.experiments.train import extend_training, resume_training, run_smoke, run_training

    if isinstance(before, Extension):
        return extend_training(before, output, watch)
    if before is not None:
        return resume_training(setup, before, watch, force)
    return (run_smoke if smoke else run_training)(setup, output, watch)


def _answer(run: TrainingRun) -> str:
    """The result in a few lines."""
    session = run.session
    lines = [f"{session.status} after {session.steps} updates" + (f": {session.reason}" if session.reason else "")]
    for name in ("final", "best"):
        entry = session.results.get(name)
        if entry:
            values = "  ".join(f"{key} {value:.4g}" for key, value in entry.items() if key != "step")
            lines.append(f"  {name:6} after {entry['step']:6} updates   {values}")
    lines += [f"note: {note}" for note in run.notes]
    lines.append(f"plots and data: {session.folder.path / 'curves.png'}")
    return "\n".join(lines)
