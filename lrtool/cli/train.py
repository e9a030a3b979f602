"""`lrtool train`: one run under the schedule."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrtool.cli.common import (
    AllowImportOption,
    ConfigArgument,
    ConfigOption,
    ForceOption,
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
from lrtool.errors import ExitCode, UsageError
from lrtool.status import Status

if TYPE_CHECKING:
    from lrtool.experiments.observers import ObserverFactory
    from lrtool.experiments.setup import Setup
    from lrtool.experiments.train import TrainingRun
    from lrtool.runs.folder import RunFolder

#: How a run ends that has nothing more to do.
_OVER = (Status.FINISHED, Status.DIVERGED)


def command(
    config: ConfigArgument = None,
    config_option: ConfigOption = None,
    lr_from: Annotated[
        Path | None,
        typer.Option("--lr-from", metavar="RUN", help="Take the LR that this range-test or tune run suggests."),
    ] = None,
    resume: ResumeOption = None,
    force: ForceOption = False,
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
    with ExitStack() as held:
        if resume is not None:
            _alone(config or config_option, lr_from, init_from, seed, smoke)
            folder = _opened(resume)
            # Before the model and the data are built: that may take a while, and a refusal should not.
            held.enter_context(folder.held())
            setup = _resumed(folder, overrides, allowed(allow_import), force)
            if setup is None:
                raise typer.Exit(_nothing_to_do(folder, as_json))
        else:
            needs_resume(force)
            path = needed_config(config, config_option, "train")
            overrides = [*(overrides or ()), *_begins_with(init_from, init_partial)]
            setup = _fresh(path, lr_from, overrides, seed, allowed(allow_import))
        if not as_json:
            say(_lr_line(setup))
        with progress(f"{setup.config.name}: training", quiet=quiet or as_json) as watch:
            run = _run(setup, folder, output, smoke, watch, force)
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


def _opened(path: Path) -> RunFolder:
    """The run to go on with; UsageError where it is none that can be."""
    from lrtool.runs.folder import RunFolder

    folder = RunFolder.open(path)
    made_by = folder.command
    if made_by in ("", "train", "smoke"):
        return folder
    remedy = f"write: lrtool {made_by} CONFIG to do it again"
    if made_by == "sweep":
        remedy = f"write: lrtool sweep --resume {path}"
    elif made_by in ("range-test", "tune", "transfer"):
        remedy = f"write: lrtool train CONFIG --lr-from {path} to train with the LR that it suggests"
    raise UsageError(f"this is a {made_by} run; train goes on with runs of train", where=str(path), remedy=remedy)


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
    """The setup of the config in a run folder, None where it is over; it may run the code that it was started with.

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
    left = folder.summary() if (folder.path / "summary.json").is_file() else {}
    if left.get("status") in _OVER and left.get("config_hash") == config.hash():
        return None
    # The run's own config says which LR, not why: that is in what it left behind.
    config = config.lr_said(left.get("lr_from") or "as the run was started")

    from lrtool.experiments.setup import prepare

    return prepare(config, known)


def _nothing_to_do(folder: RunFolder, as_json: bool) -> ExitCode:
    """Say that a run is over; nothing in its folder changes."""
    summary = folder.summary()
    if as_json:
        print_json({**summary, "folder": str(folder.path), "nothing_to_do": True})
    else:
        reason = f": {summary['reason']}" if summary["reason"] else ""
        say(
            f"nothing to do: this run {summary['status']} after {summary['steps']} updates{reason}\n"
            f"plots and data: {folder.path / 'curves.png'}"
        )
    return ExitCode.DIVERGED if summary["status"] == Status.DIVERGED else ExitCode.DONE


def _lr_line(setup: Setup) -> str:
    """Which peak LR is taken, and where it comes from."""
    from lrtool.report.plots.style import number

    config = setup.config
    shape = "its values are the table's" if config.schedule.kind == "table" else f"schedule {config.schedule.kind}"
    return f"peak lr {number(config.optimizer.lr)} ({config.lr_source}), {shape}, {setup.steps:,} updates"


def _alone(*others: object) -> None:
    if any(others):
        raise UsageError(
            "--resume goes on with the run as it was configured",
            remedy="leave out CONFIG, --seed, --lr-from, --init-from and --smoke, or start a new run; its length and"
            " schedule may change, as with --set train.duration=40ep",
        )


def _run(
    setup: Setup, folder: RunFolder | None, output: Path, smoke: bool, watch: ObserverFactory, force: bool
) -> TrainingRun:
    from lrtool.experiments.train import resume_training, run_smoke, run_training

    if folder is not None:
        return resume_training(setup, folder, watch, force)
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
