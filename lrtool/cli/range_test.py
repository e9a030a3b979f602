"""`lrtool range-test`: where loss starts to fall, where it explodes, and a peak LR in between."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrtool.cli.advice import Given
from lrtool.cli.common import (
    AllowImportOption,
    ConfigArgument,
    ConfigOption,
    EngineOption,
    JsonOption,
    MethodsOption,
    OutputOption,
    QuietOption,
    SeedOption,
    SetOption,
    add_run,
    allowed,
    budget_runs,
    engine_line,
    load,
    one_config,
    print_json,
    say,
)
from lrtool.errors import ExitCode
from lrtool.status import Status

if TYPE_CHECKING:
    from lrtool.analysis.range_test_result import LrEstimate, RangeTestResult
    from lrtool.experiments.range_test.listener import Listener
    from lrtool.experiments.session import Session
    from lrtool.report.terminal.progress import ProgressObservers


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
    path = one_config(config, config_option)
    runs = budget_runs(budget)
    checked = load(path, overrides, seed, methods)

    from lrtool.engine.trials import EngineName
    from lrtool.experiments.engines import Engines
    from lrtool.experiments.range_test.range_test import run_range_test
    from lrtool.experiments.setup import prepare
    from lrtool.report.terminal.progress import progress

    engines = Engines(EngineName.parse(engine))
    setup = prepare(checked, allowed(allow_import))
    with progress(f"{checked.name}: LR range test", quiet=quiet or as_json) as watch:
        watch.say("measuring how fast this model trains")
        run, result = run_range_test(setup, output, watch, engines, runs, quick, _listener(watch))
        watch.finished()
    add_run(checked.name, run.folder.path, run.summary())
    if as_json:
        print_json({**run.summary(), "folder": str(run.folder.path)})
    else:
        say(_answer(run, result))
        if result.above_limit:
            say("no command to go on with: measure this LR with `lrtool tune` before you train at it")
        elif result.suggestion is not None:
            say(Given(path, overrides, seed, allow_import, output).training(run.folder.path))
    if run.status is Status.DIVERGED:
        raise typer.Exit(ExitCode.DIVERGED)


def _listener(watch: ProgressObservers) -> Listener:
    """What shows the cost, one bar over all trainings, and the ramp's answer as soon as there is one."""
    from lrtool.experiments.range_test.listener import Listener

    class Shown(Listener):
        def announced(self, cost: str, updates: int) -> None:
            watch.note(f"cost: {cost}")
            watch.expect(updates)

        def expected(self, updates: int) -> None:
            watch.expect(updates)

        def answered(self, first: RangeTestResult) -> None:
            watch.note("\n".join(["first answer, from the ramp alone; short trainings now check it:", *_found(first)]))

    return Shown()


def _answer(run: Session, result: RangeTestResult) -> str:
    """The result in a few lines."""
    lines = _found(result)
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


def _found(result: RangeTestResult) -> list[str]:
    """The LRs that were found, a line each, or why there is no suggestion."""
    lines = [
        _line("loss starts to fall at", result.lower),
        _line("loss starts to explode at", result.upper),
        _line("does not blow up until about", result.stability),
        _line("suggested peak LR", result.suggestion),
    ]
    if result.suggestion is None:
        lines.append(f"  no suggestion: {result.reason.value if result.reason else 'the loss supports none'}")
    return [line for line in lines if line]


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


def _line(label: str, estimate: LrEstimate | None) -> str:
    if estimate is None:
        return ""
    from lrtool.report.plots.marks import between
    from lrtool.report.plots.style import number

    return f"  {label:29} {number(estimate.value):>8}   ({between((estimate.low, estimate.high))})"
