"""`lrtool transfer`: the LR for a run too expensive to tune, by a law through runs that cost little."""

from __future__ import annotations

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
    JsonOption,
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
    one_config,
    print_json,
    say,
)
from lrtool.cli.parts.advice import Given
from lrtool.cli.parts.resuming import search_is_over
from lrtool.errors import ExitCode
from lrtool.status import Status

if TYPE_CHECKING:
    from lrtool.api.results.transfer import TransferAnswer


def command(
    config: ConfigArgument = None,
    config_option: ConfigOption = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="KEY=VALUE",
            help="Where it is wanted: train.duration=50ep, data.batch_size=1024, …; or a second config; repeatable.",
        ),
    ] = None,
    points: Annotated[
        Path | None,
        typer.Option(
            "--points", metavar="FILE", help="A CSV of points that are there already (keys, lr, loss): no training."
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="N[x]",
            help="Cost at most, in times of the target run; unsaid: 0.25x or about 20 s, whichever is more.",
        ),
    ] = None,
    engine: EngineOption = "auto",
    executor: ExecutorOption = executors.AUTO,
    workers: WorkersOption = None,
    ray_address: RayAddressOption = None,
    slurm_cluster: SlurmClusterOption = "slurm",
    resume: ResumeOption = None,
    force: ForceOption = False,
    time_limit: TimeLimitOption = None,
    overrides: SetOption = None,
    output: OutputOption = Path("outputs"),
    seed: SeedOption = None,
    allow_import: AllowImportOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure how the best LR moves where runs cost little; say it, with an interval, for a run that costs much.

    Refuses where the measurements follow no law, and says how far one may go.
    """
    path = one_config(config, config_option)
    runs = budget_runs(budget)

    from lrtool.api.transfer import transfer

    answer = transfer(
        path,
        to=to or (),
        points=points,
        budget=runs,
        seed=seed,
        overrides=overrides or (),
        resume=resume,
        force=force,
        allow_import=allowed(allow_import),
        engine=engine,
        executor=executor,
        workers=workers,
        ray_address=ray_address,
        slurm_cluster=slurm_cluster,
        progress=not (quiet or as_json),
        output=None if resume is not None else output,
    )
    if answer.nothing_to_do:
        raise typer.Exit(search_is_over(answer, as_json))
    folder = answer.folder
    assert folder is not None
    add_run(folder.parent.name, folder, answer.summary)
    if as_json:
        print_json({**answer.summary, "folder": str(folder)})
    else:
        say(_lines(answer, folder))
        if answer.suggested_lr is not None and path is not None:
            say(Given(path, overrides, seed, allow_import, output).training(folder, answer.settings))
    if answer.status is Status.DIVERGED:
        raise typer.Exit(ExitCode.DIVERGED)


def _lines(answer: TransferAnswer, folder: Path) -> str:
    """The result in a few lines."""
    lines = [answer.answer, *(f"  {note}" for note in answer.notes)]
    return "\n".join([*lines, f"plot and data: {folder / 'transfer.png'}"])
