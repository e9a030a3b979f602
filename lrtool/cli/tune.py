"""`lrtool tune`: the best peak LR, measured by real trainings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrtool import executors
from lrtool.cli.common import (
    AllowImportOption,
    ConfigArgument,
    ConfigOption,
    EngineOption,
    ExecutorOption,
    ForceOption,
    FsdpOption,
    JsonOption,
    MethodsOption,
    OutputOption,
    QuietOption,
    RayAddressOption,
    ResumeOption,
    SeedOption,
    SetOption,
    SlurmClusterOption,
    TimeLimitOption,
    WorkersOption,
    add_run,
    allowed,
    budget_runs,
    engine_line,
    load,
    needed_config,
    one_config,
    print_json,
    say,
)
from lrtool.cli.parts.advice import Given
from lrtool.cli.parts.resuming import search_is_over
from lrtool.errors import ExitCode, UsageError
from lrtool.status import Status

if TYPE_CHECKING:
    from lrtool.api.results.transfer import TransferAnswer
    from lrtool.api.results.tune import TuneAnswer
    from lrtool.config.schema import Config
    from lrtool.experiments.session import Session
    from lrtool.experiments.tune_result import TuneResult
    from lrtool.schedules import Schedule


def command(
    config: ConfigArgument = None,
    config_option: ConfigOption = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="N[x]",
            help="Cost at most, in times of one training run by itself; unsaid: 3x or about 20 s, whichever is more.",
        ),
    ] = None,
    schedules: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="Tune each of these schedules and rank them.")
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write",
            metavar="FILE",
            help="Write the config with the LR (and schedule) that was found; comments stay where they can.",
        ),
    ] = None,
    engine: EngineOption = "auto",
    executor: ExecutorOption = executors.AUTO,
    workers: WorkersOption = None,
    ray_address: RayAddressOption = None,
    slurm_cluster: SlurmClusterOption = "slurm",
    methods: MethodsOption = False,
    resume: ResumeOption = None,
    force: ForceOption = False,
    fsdp: FsdpOption = False,
    time_limit: TimeLimitOption = None,
    overrides: SetOption = None,
    output: OutputOption = Path("outputs"),
    seed: SeedOption = None,
    allow_import: AllowImportOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Find the best peak LR for this task, optimizer, schedule and length of training."""
    executors.check(executor, "--executor")
    _target(write)

    from lrtool.api.tune import tune

    going_on = resume is not None
    path = one_config(config, config_option) if going_on else needed_config(config, config_option, "tune")
    kinds, runs = _kinds(schedules), budget_runs(budget)
    # What is written at the end is this config, whatever becomes of its file while trials are trained.
    checked = None if going_on else load(path, overrides, seed, methods)
    answer = tune(
        checked or path,
        schedules=kinds,
        budget=runs,
        seed=seed if going_on else None,
        overrides=overrides or () if going_on else (),
        allow_import=allowed(allow_import),
        engine=engine,
        executor=executor,
        workers=workers,
        ray_address=ray_address,
        slurm_cluster=slurm_cluster,
        progress=not (quiet or as_json),
        output=None if going_on else output,
        resume=resume,
        force=force,
    )
    if answer.nothing_to_do:
        raise typer.Exit(search_is_over(answer, as_json))
    run, _ = answer.made()
    if checked is None:
        path, checked = run.folder.config, load(run.folder.config, None, None)
    after = _after(answer, Given(path, overrides, seed, allow_import, output), checked, write)
    add_run(checked.name, run.folder.path, run.summary())
    if as_json:
        print_json({**run.summary(), "folder": str(run.folder.path)})
    else:
        _show([*_found(answer), *after])
    if run.status is Status.DIVERGED:
        raise typer.Exit(ExitCode.DIVERGED)


def _after(answer: TuneAnswer | TransferAnswer, given: Given, checked: Config, write: Path | None) -> list[str]:
    """Write the config that was asked for, and say how to go on."""
    from lrtool.experiments.tune_result import TuneResult

    run, result = answer.made()
    schedule = result.best.schedule if isinstance(result, TuneResult) else checked.schedule
    written = _written(write, given, checked, answer.suggested_lr, schedule)
    return written or _next(given, run.folder.path, checked, answer.suggested_lr, schedule)


def _found(answer: TuneAnswer | TransferAnswer) -> Iterator[str]:
    """The result, and of a tune that went on what is to be said of that."""
    from lrtool.experiments.tune_result import TuneResult

    run, result = answer.made()
    yield _answer(run, result) if isinstance(result, TuneResult) else _shorter(run, answer)
    yield from (f"note: {note}" for note in answer.said)


def _show(parts: Iterable[str]) -> None:
    for part in parts:
        say(part)


def _written(write: Path | None, given: Given, checked: Config, lr: float | None, schedule: Schedule) -> list[str]:
    """Write the config that was asked for, if there is an LR to write; what is said of it."""
    if write is None:
        return []
    if lr is None:
        return [f"not written: {write}, as there is no LR to write"]
    _write(write, given, checked, lr, schedule)
    return [f"written: {write}", given.training_of(write)]


def _kinds(schedules: str | None) -> tuple[str, ...]:
    from lrtool.schedules import KINDS

    kinds = tuple(dict.fromkeys(name.strip() for name in (schedules or "").split(",") if name.strip()))
    for kind in kinds:
        KINDS[kind]
    return kinds


def _target(write: Path | None) -> None:
    """Refuse a place that nothing can be written to before hours are spent."""
    if write is not None and (write.is_dir() or not write.absolute().parent.is_dir()):
        what = "this is a folder" if write.is_dir() else f"there is no folder {write.parent}"
        raise UsageError(what, where=f"--write {write}", remedy="give the path of a file in a folder that exists")


def _write(write: Path, given: Given, checked: Config, found: float, schedule: Schedule) -> None:
    """Write the config with the LR, and the schedule, that were found."""
    from lrtool.config.writing.edit import as_changes, edited, in_short
    from lrtool.report.plots.style import number
    from lrtool.runs.atomic import write_text

    assert given.config is not None
    # As many digits as are shown, which is as many as it deserves.
    lr = float(number(found))
    changes = {**as_changes(given.overrides or (), given.seed), "optimizer.lr": lr}
    if schedule != checked.schedule:
        changes["schedule"] = in_short(schedule)
    wanted = checked.with_lr(lr).model_copy(update={"schedule": schedule})
    write_text(write, edited(given.config, write, wanted, changes))


def _next(given: Given, run: Path, checked: Config, lr: float | None, schedule: Schedule) -> list[str]:
    """The command to go on with; nothing where there is no LR."""
    if lr is None:
        return []
    from lrtool.config.writing.edit import in_short, inline

    other = schedule != checked.schedule
    return [given.training(run, [f"schedule={inline(in_short(schedule))}"] if other else [])]


def _shorter(run: Session, answer: TuneAnswer | TransferAnswer) -> str:
    """The result of shorter runs in a few lines."""
    lines = [
        "the budget holds no comparison at full length: shorter runs, and a law through their best LRs",
        answer.answer,
    ]
    return "\n".join([*lines, *(f"  {note}" for note in answer.notes), engine_line(run.results),
                      f"plot and data: {run.folder.path / 'transfer.png'}"])  # fmt: skip


def _answer(run: Session, result: TuneResult) -> str:
    """The result in a few lines."""
    from lrtool.experiments.tune_result import answer, said_of
    from lrtool.report.plots.marks import between
    from lrtool.report.plots.style import number

    lines = [answer(result)]
    within = result.best.response.within_noise
    if within is not None:
        lines.append(f"  cannot be told from the best   {between(within)}")
    lines += [f"  note: {warning.value}" for warning in result.warnings]
    if len(result.ranking) > 1:
        lines.append("  each schedule at its own best LR:")
        for each in result.ranking:
            lr = each.response.lr
            reason = each.response.reason.value if each.response.reason else ""
            said = f"lr {number(lr):<8} loss {each.expected:<8.4g}" if lr is not None else reason
            behind = result.behind(each)
            lines.append(f"    {each.name:18} {said} {said_of(behind) if behind is not None else ''}".rstrip())
    lines.append(
        f"cost: {result.seconds:.1f} s; {result.trials} trials, {run.steps:,} updates,"
        f" as costly as {result.runs:.1f} training runs by themselves"
    )
    lines.append(engine_line(run.results))
    lines.append(f"plot and data: {run.folder.path / 'tune.png'}")
    return "\n".join(lines)
