"""`lrtool range-test`: where loss starts to fall, where it explodes, and a peak LR in between."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lrtool.cli.advice import Given
from lrtool.cli.common import (
    AllowImportOption,
    ConfigArgument,
    ConfigOption,
    EngineOption,
    JsonOption,
    OutputOption,
    QuietOption,
    SeedOption,
    SetOption,
    allowed,
    engine_line,
    one_config,
    print_json,
    say,
)
from lrtool.errors import ExitCode
from lrtool.status import Status

if TYPE_CHECKING:
    from lrtool.analysis.range_test_result import LrEstimate, RangeTestResult
    from lrtool.experiments.session import Session


def command(
    config: ConfigArgument = None,
    config_option: ConfigOption = None,
    engine: EngineOption = "auto",
    overrides: SetOption = None,
    output: OutputOption = Path("outputs"),
    seed: SeedOption = None,
    allow_import: AllowImportOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """LR range test: train a few seeds while the LR ramps up, and read the loss.

    Without a config it tests a small network on handwritten digits.
    """
    path = one_config(config, config_option)
    from lrtool.api.range_test import range_test

    answer = range_test(
        path,
        overrides=overrides or (),
        seed=seed,
        allow_import=allowed(allow_import),
        engine=engine,
        progress=not (quiet or as_json),
        output=output,
    )
    run, result = answer.made()
    if as_json:
        print_json({**run.summary(), "folder": str(run.folder.path)})
    else:
        say(_answer(run, result))
        if result.suggestion is not None:
            say(Given(path, overrides, seed, allow_import, output).training(run.folder.path))
    if run.status is Status.DIVERGED:
        raise typer.Exit(ExitCode.DIVERGED)


def _answer(run: Session, result: RangeTestResult) -> str:
    """The result in a few lines."""
    lines = [
        _line("loss starts to fall at", result.lower),
        _line("loss starts to explode at", result.upper),
        _line("trains stably up to about", result.stability),
        _line("suggested peak LR", result.suggestion),
    ]
    if result.suggestion is not None:
        lines.append(f"  {'':26} from {result.source}")
    else:
        lines.append(f"  no suggestion: {run.reason}")
    lines += [f"  note: {caveat.value}" for caveat in result.caveats]
    lines.append(engine_line(run.results))
    lines.append(f"plot and data: {run.folder.path / 'range_test.png'}")
    return "\n".join(line for line in lines if line)


def _line(label: str, estimate: LrEstimate | None) -> str:
    if estimate is None:
        return ""
    from lrtool.report.plots.marks import between
    from lrtool.report.plots.style import number

    return f"  {label:26} {number(estimate.value):>8}   ({between((estimate.low, estimate.high))})"
