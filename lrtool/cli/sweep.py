"""`lrtool sweep`: many trials of one base, side by side, every one recorded the moment it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrtool import executors
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
    one_config,
    print_json,
    say,
)
from lrtool.errors import ExitCode
from lrtool.status import Status

if TYPE_CHECKING:
    from lrtool.api.results.compare import SweepAnswer
    from lrtool.config.sweep.load import Sweep
    from lrtool.experiments.session import Session
    from lrtool.experiments.sweep.forecast import Forecast
    from lrtool.experiments.sweep.options import Options

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
    from lrtool.api.sweep import AskedSweep
    from lrtool.api.sweep import sweep as swept

    executors.check(executor, "--executor")
    path = one_config(sweep, config_option) if resume is not None else needed_config(sweep, config_option, "sweep")
    names = allowed(allow_import)
    if dry_run:
        asked = AskedSweep.of(path, resume, retry_failed, force, max_trials, seed, overrides or ())
        options = asked.options(executor, workers, ray_address, slurm_cluster, names, retry_failed)
        _plan(asked.loaded, options, output, as_json)
        return
    answer = swept(
        path,
        resume=resume,
        retry_failed=retry_failed,
        force=force,
        max_trials=max_trials,
        seed=seed,
        overrides=overrides or (),
        allow_import=names,
        executor=executor,
        workers=workers,
        ray_address=ray_address,
        slurm_cluster=slurm_cluster,
        progress=not (quiet or as_json),
        output=output,
    )
    if answer.nothing_to_do:
        raise typer.Exit(_nothing_to_do(answer, as_json))
    run = answer.made()
    add_run(run.config.name, run.folder.path, run.summary())
    _show(run, as_json)
    code = _exit_code(run.status, run.results["trials"])
    if code is not ExitCode.DONE:
        raise typer.Exit(code)


def _exit_code(status: str, counts: Mapping[str, int]) -> ExitCode:
    """What the shell gets: a failure is one also where other trials finished."""
    if counts["failed"]:
        return ExitCode.TASK
    return ExitCode.DIVERGED if status == Status.DIVERGED else ExitCode.DONE


def _nothing_to_do(answer: SweepAnswer, as_json: bool) -> ExitCode:
    """Say that a sweep is over; nothing in its folder changes. Gives how it had ended."""
    counts = answer.summary["trials"]
    if as_json:
        print_json({**answer.summary, "folder": str(answer.folder), "nothing_to_do": True})
    else:
        again = f"; --retry-failed trains the {counts['failed']} that failed again" if counts["failed"] else ""
        say(
            f"nothing to do: all {counts['planned']} trials of this sweep have ended{again}\n"
            f"compare and draw them: lrtool compare {answer.folder} --output DIR"
        )
    return _exit_code(answer.status, counts)


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
