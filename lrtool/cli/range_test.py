"""`lrtool range-test`: where loss starts to fall, where it explodes, and a peak LR in between."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrtool.cli.common import (
    AllowImportOption,
    ConfigArgument,
    ConfigOption,
    EngineOption,
    ForceOption,
    FsdpOption,
    JsonOption,
    MethodsOption,
    OutputOption,
    QuietOption,
    ResumeOption,
    SeedOption,
    SetOption,
    TimeLimitOption,
    add_run,
    allowed,
    budget_runs,
    engine_line,
    one_config,
    overriding,
    print_json,
    say,
)
from lrtool.cli.parts.advice import Given
from lrtool.cli.parts.resuming import search_is_over
from lrtool.errors import ExitCode
from lrtool.status import Status

if TYPE_CHECKING:
    from lrtool.analysis.range_test_result import RangeTestResult
    from lrtool.experiments.session import Session


def command(
    config: ConfigArgument = None,
    config_option: ConfigOption = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="N[x]",
            help="Cost at most, in times of one training run by itself; unsaid: 1x or about 10 s, whichever is more.",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="The ramp alone, without the short trainings.")] = False,
    methods: MethodsOption = False,
    engine: EngineOption = "auto",
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
    """LR range test: train a few seeds while the LR ramps up, read the loss, and check it by short trainings.

    Without a config it tests a small network on handwritten digits.
    """
    from lrtool.api.range_test import range_test

    path = one_config(config, config_option)
    answer = range_test(
        path,
        budget=budget_runs(budget),
        quick=quick,
        seed=seed,
        overrides=overriding(overrides, methods),
        allow_import=allowed(allow_import),
        engine=engine,
        progress=not (quiet or as_json),
        output=output if resume is None else None,
        resume=resume,
        force=force,
    )
    if answer.nothing_to_do:
        raise typer.Exit(search_is_over(answer, as_json))
    run, result = answer.made()
    add_run(run.config.name, run.folder.path, run.summary())
    if as_json:
        print_json({**run.summary(), "folder": str(run.folder.path)})
    else:
        say("\n".join([_answer(run, result), *(f"note: {note}" for note in answer.said if resume is not None)]))
        if result.above_limit:
            say("no command to go on with: measure this LR with `lrtool tune` before you train at it")
        elif result.suggestion is not None:
            given = Given(path if resume is None else run.folder.config, overrides, seed, allow_import, output)
            say(given.training(run.folder.path))
    if run.status is Status.DIVERGED:
        raise typer.Exit(ExitCode.DIVERGED)


def _answer(run: Session, result: RangeTestResult) -> str:
    """The result in a few lines."""
    from lrtool.report.terminal.range_test import found_lines

    lines = found_lines(result)
    if result.suggestion is not None:
        lines.append(f"  {'':29} from {result.source}")
    lines += [f"  note: {caveat.value}" for caveat in result.caveats]
    if result.left_out:
        lines.append(f"  left out to stay within the budget: {'; '.join(result.left_out)}")
        everything = run.results["cost"].get("budget_for_everything")
        if everything is not None:
            lines.append(f"  {'':29} --budget {_rounded_up(everything)}x has room for all")
    lines += [_cost(run), engine_line(run.results), f"plot and data: {run.folder.path / 'range_test.png'}"]
    return "\n".join(lines)


def _cost(run: Session) -> str:
    cost = run.results["cost"]
    return (
        f"cost: {cost['seconds']:.1f} s; {cost['trials']} trials, {run.steps:,} updates,"
        f" as costly as {cost['runs']:.2g} training runs by themselves"
    )


def _rounded_up(runs: float) -> str:
    """Two digits, not less than this."""
    import math

    unit = 10.0 ** (math.floor(math.log10(runs)) - 1)
    return f"{math.ceil(runs / unit) * unit:.3g}"
