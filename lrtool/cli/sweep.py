"""`lrtool sweep`: many trials of one base, side by side, every one recorded the moment it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrtool import executors
from lrtool.api.resuming import needs_resume
from lrtool.cli.common import (
    AllowImportOption,
    ConfigOption,
    ExecutorOption,
    ForceOption,
    JsonOption,
    OutputOption,
    QuietOption,
    RayAddressOption,
    SeedOption,
    SetOption,
    SlurmClusterOption,
    TimeLimitOption,
    WorkersOption,
    add_comparison,
    add_run,
    allowed,
    needed_config,
    print_json,
    say,
)
from lrtool.errors import ExitCode, UsageError
from lrtool.status import Status

if TYPE_CHECKING:
    from lrtool.config.sweep.load import Sweep
    from lrtool.experiments.session import Session
    from lrtool.experiments.sweep.forecast import Forecast
    from lrtool.experiments.sweep.options import Options
    from lrtool.runs.folder import RunFolder

#: Variants that the result shows.
_SHOWN = 10
#: Reasons for failures that it shows.
_SHOWN_FAILURES = 5
#: Trials that are compared unasked: more would take memory and many seconds.
_MOST_COMPARED = 10_000


def command(
    sweep: Annotated[
        Path | None, typer.Argument(metavar="SWEEP", help="A YAML sweep: base, grid, …", show_default=False)
    ] = None,
    config_option: ConfigOption = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Train only what is missing of a sweep.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="With --resume: train again what failed.")
    ] = False,
    force: ForceOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan: trials, engines, time, memory.")] = False,
    executor: ExecutorOption = executors.AUTO,
    workers: WorkersOption = None,
    ray_address: RayAddressOption = None,
    slurm_cluster: SlurmClusterOption = "slurm",
    max_trials: Annotated[int, typer.Option("--max-trials", min=1, help="Refuse larger sweeps.")] = 100_000,
    time_limit: TimeLimitOption = None,
    overrides: SetOption = None,
    output: OutputOption = Path("outputs"),
    seed: SeedOption = None,
    allow_import: AllowImportOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train every combination of a sweep; a sweep that was stopped, however, goes on with --resume.

    With two variants and two seeds or more it ends with what `lrtool compare` says of them. --set overrides keys of the
    base config.
    """
    from lrtool.config.started import allowed_again, remember
    from lrtool.config.sweep.load import load_sweep
    from lrtool.experiments.sweep.options import Options

    executors.check(executor, "--executor")
    folder: RunFolder | None = None
    if resume is not None:
        if sweep or config_option or overrides or seed is not None:
            raise UsageError(
                "--resume goes on with the sweep exactly as it was configured",
                remedy="leave out SWEEP, --set and --seed, or start a new sweep",
            )
        folder, loaded = _resumed(resume, max_trials)
    else:
        needs_resume(force)
        if retry_failed:
            raise UsageError("--retry-failed needs --resume RUN: a new sweep has no failures yet")
        loaded = load_sweep(needed_config(sweep, config_option, "sweep"), list(overrides or ()), seed, max_trials)
    names = allowed(allow_import) if folder is None else allowed_again(loaded.config, allowed(allow_import))
    options = Options(executor, workers, ray_address, slurm_cluster, names, retry_failed)
    options.check()
    if dry_run:
        _plan(loaded, options, output, as_json)
        return
    if folder is not None and not force and _is_over(folder, loaded, retry_failed):
        raise typer.Exit(_nothing_to_do(folder, as_json))
    if folder is None:
        remember(loaded.config, names)
    run = _run(loaded, folder, output, options, max_trials, quiet or as_json, force)
    add_run(loaded.config.name, run.folder.path, run.summary())
    _show(run, as_json)
    code = _exit_code(run.status, run.results["trials"])
    if code is not ExitCode.DONE:
        raise typer.Exit(code)


def _exit_code(status: str, counts: Mapping[str, int]) -> ExitCode:
    """What the shell gets: a failure is one also where other trials finished."""
    if counts["failed"]:
        return ExitCode.TASK
    return ExitCode.DIVERGED if status == Status.DIVERGED else ExitCode.DONE


def _is_over(folder: RunFolder, loaded: Sweep, retry_failed: bool) -> bool:
    """Whether every trial of a sweep has ended, and none is to be trained again."""
    from lrtool.runs.sweep.store import DAMAGED, SweepStore

    folder.check()
    summary = folder.summary() if (folder.path / "summary.json").is_file() else {}
    counts = summary.get("trials") or {}
    if summary.get("config_hash") != loaded.config.hash() or summary["status"] == Status.INTERRUPTED or not counts:
        return False
    # Whoever works on it has the lock, which the store takes.
    with SweepStore(folder.path) as store:
        ended = [progress for progress in store.progress().values() if progress.status.is_finished]
        whole = len(ended) == counts["planned"] and store.fact(DAMAGED) is None
    return whole and not (retry_failed and counts["failed"])


def _nothing_to_do(folder: RunFolder, as_json: bool) -> ExitCode:
    """Say that a sweep is over; nothing in its folder changes."""
    summary = folder.summary()
    counts = summary["trials"]
    if as_json:
        print_json({**summary, "folder": str(folder.path), "nothing_to_do": True})
    else:
        again = f"; --retry-failed trains the {counts['failed']} that failed again" if counts["failed"] else ""
        say(
            f"nothing to do: all {counts['planned']} trials of this sweep have ended{again}\n"
            f"compare and draw them: lrtool compare {folder.path} --output DIR"
        )
    return _exit_code(summary["status"], counts)


def _resumed(path: Path, most: int) -> tuple[RunFolder, Sweep]:
    """A sweep's run folder and the sweep in it."""
    from lrtool.config.document import read_document
    from lrtool.config.sweep.load import load_sweep
    from lrtool.runs.folder import RunFolder

    folder = RunFolder.open(path)
    if "base" not in read_document(folder.config).data:
        made_by = folder.command
        what = "this is not the run of a sweep" + (f" but of {made_by}" if made_by else "")
        resumable = made_by in ("train", "smoke")
        remedy = f"write: lrtool train --resume {path}" if resumable else "give a folder that `lrtool sweep` made"
        raise UsageError(what, where=str(folder.path), remedy=remedy)
    return folder, load_sweep(folder.config, most=most, code_beside=False)


def _run(
    loaded: Sweep,
    folder: RunFolder | None,
    output: Path,
    options: Options,
    most: int,
    quiet: bool,
    force: bool,
) -> Session:
    from lrtool.experiments.sweep.sweep import resume_sweep, run_sweep
    from lrtool.report.terminal.board import sweep_board
    from lrtool.report.terminal.progress import progress

    name = loaded.config.name
    with progress(f"{name}: tuning the LR", quiet) as watch, sweep_board(name, quiet) as board:
        if folder is not None:
            return resume_sweep(folder, options, board, watch, most, force)
        return run_sweep(loaded, output, options, board, watch)


def _plan(loaded: Sweep, options: Options, output: Path, as_json: bool) -> None:
    """Print what would be done; exit as it would where trials cannot be trained."""
    from lrtool.experiments.sweep.forecast import document, forecasts
    from lrtool.experiments.sweep.grouping import group_trials
    from lrtool.experiments.sweep.tpe import require_optuna
    from lrtool.runs.folder import check_output

    check_output(output)
    if loaded.config.sampler == "tpe":
        require_optuna()
    trials, prune = loaded.trials(), loaded.config.prune
    variants = len({trial.variant for trial in trials})
    searches = variants if loaded.config.tune is not None else 0
    found = forecasts(group_trials(trials), options, prune)
    plan = {**document(found, len(trials), searches, prune), "notes": loaded.planner.notes}
    if as_json:
        print_json(plan)
    else:
        say(_planned(loaded, found, plan, variants))
    if any(each.seconds is None for each in found):
        raise typer.Exit(ExitCode.TASK)


def _planned(loaded: Sweep, found: Sequence[Forecast], plan: Mapping[str, Any], variants: int) -> str:
    """The plan in lines."""
    prune = loaded.config.prune
    lines = [f"{loaded.config.name}: {plan['trials']} trials of {variants} variants"]
    lines += [f"  note: {note}" for note in plan["notes"]]
    if loaded.config.tune is not None:
        budget = loaded.config.tune.budget
        lines.append(f"  first, {plan['lr_searches']} LR searches that cost about {budget:g} training runs each")
    if prune is not None:
        all_ = sum(each.trials * each.steps for each in found)
        left = sum(each.updates for each in found)
        lines.append(f"  pruning ({prune.kind}) leaves about {left:,} of {all_:,} updates ({prune.share:.0%})")
    for number, each in enumerate(found, 1):
        size = f", {each.bytes / 2**20:.0f} MB" if each.bytes is not None else ""
        if each.seconds is None:
            lines.append(f"  group {number}: {each.trials} trials that cannot be trained (time unknown): {each.reason}")
        else:
            time = f"about {_time(each.seconds)}"
            lines.append(f"  group {number}: {each.trials} trials of {each.steps} updates, {time}{size}")
            lines.append(f"    {each.engine}: {each.reason}")
        lines.append(f"    the first: {each.like}")
    if plan["seconds"] is not None:
        lines.append(f"predicted: {_time(plan['seconds'])}, {(plan['bytes'] or 0) / 2**20:.0f} MB besides torch itself")
    return "\n".join(lines)


def _time(seconds: float) -> str:
    from lrtool.report.terminal.live import clock_time

    return f"{seconds:.1f} s" if seconds < 10 else clock_time(seconds)


def _show(run: Session, as_json: bool) -> None:
    """The result and, where two variants have two seeds, what `lrtool compare` says of them."""
    from lrtool.cli.compare import show
    from lrtool.comparison.standings import compare_sweep

    if not as_json:
        say(_answer(run))
    large = run.results["trials"]["planned"] > _MOST_COMPARED
    report = None if large else compare_sweep(run.folder.path)
    if report is not None:
        add_comparison(report)
    if as_json:
        comparison = None if report is None else report.document()
        print_json({**run.summary(), "folder": str(run.folder.path), "comparison": comparison})
    elif report is not None:
        typer.echo()
        show(report)


def _answer(run: Session) -> str:
    """The result in a few lines."""
    from lrtool.report.plots.style import number

    results: dict[str, Any] = run.results
    counts = results["trials"]
    said = ", ".join(f"{counts[name]} {name}" for name in Status if name.is_finished and counts[name])
    lines = [f"{counts['planned']} trials: {said}" + (f" ({run.reason})" if run.status is not Status.FINISHED else "")]
    leaders = results["leaders"][:_SHOWN]
    width = max((len(each["variant"]) for each in leaders), default=0)
    if leaders:
        lines.append(f"  {'mean ' + results['metric']:>14}   {'seeds':>5}")
    for each in leaders:
        bad = each["diverged_or_failed"]
        note = f"   {bad} diverged or failed" if bad else ""
        lines.append(f"  {each['mean']:>14.4g}   {each['finished']:>5}   {each['variant']:{width}}{note}".rstrip())
    lines += [f"  tuned: lr {number(lr)} for {name}" for name, lr in results["tuned"].items() if lr is not None]
    lines += [_failure(each) for each in results["failures"][:_SHOWN_FAILURES]]
    hidden = len(results["failures"]) - _SHOWN_FAILURES
    lines += [f"… and {hidden} other reasons (trials.csv has them)"] if hidden > 0 else []
    lines += [f"note: {note}" for note in results["notes"]]
    if counts["failed"]:
        lines.append(f"train what failed again: lrtool sweep --resume {run.folder.path} --retry-failed")
    if counts["finished"]:
        lines.append(f"compare and draw them: lrtool compare {run.folder.path} --output DIR")
    lines.append(f"data: {run.folder.path / 'trials.csv'}")
    return "\n".join(lines)


def _failure(found: Mapping[str, Any]) -> str:
    """Why trials failed."""
    many = f"{found['trials']} trials, such as " if found["trials"] > 1 else ""
    return f"failed ({many}{found['variant']}): {found['message']}"
