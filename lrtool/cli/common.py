"""Options that several commands share, and what they mean."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrtool import executors, streams
from lrtool.printable import brief, printable

if TYPE_CHECKING:
    from lrtool.comparison.result import ComparisonResult
    from lrtool.config.schema import Config

ConfigArgument = Annotated[Path | None, typer.Argument(metavar="CONFIG", help="A YAML config.", show_default=False)]
ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="The same as the argument.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override any key of the config; repeatable.")
]
OutputOption = Annotated[Path, typer.Option("--output", "-o", help="Folder that run folders are made in.")]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Override the config's seed.", show_default=False)]


def _reserve(context: typer.Context, wanted: bool) -> bool:
    """With --json nobody else writes to stdout, from here on: not the user's code, nor what that starts."""
    if wanted and not context.resilient_parsing:
        streams.reserve_stdout()
    return wanted


JsonOption = Annotated[
    bool, typer.Option("--json", callback=_reserve, help="Print one JSON document on stdout, nothing else there.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only the result and errors.")]


def _sharded(wanted: bool) -> bool:
    """With --fsdp the processes of a launcher share a model; UsageError where there is only one."""
    if wanted:
        from lrtool.cli.parts.launched import share_model

        share_model()
    return wanted


FsdpOption = Annotated[
    bool,
    typer.Option(
        "--fsdp",
        callback=_sharded,
        help="Spread the model over the processes that torchrun started (FSDP2): one that fits no single device.",
    ),
]
EngineOption = Annotated[
    str,
    typer.Option(
        metavar="auto|loop|vector",
        help="Train one trial at a time, or many stacked; auto takes what is measured to be faster.",
    ),
]
MethodsOption = Annotated[
    bool,
    typer.Option("--methods", help="Also say what other tools' methods suggest (range_test.methods)."),
]


def _begin_to_count(context: typer.Context, text: str | None) -> str | None:
    """The time counts from here on, loading included, until the command ends."""
    if text is not None and not context.resilient_parsing:
        from lrtool.engine.deadline import Deadline

        context.call_on_close(Deadline(text).call_off)
    return text


TimeLimitOption = Annotated[
    str | None,
    typer.Option(
        "--time-limit",
        metavar="TIME",
        callback=_begin_to_count,
        help="Stop after this time (55m, 1h30m, 90s) as after SIGTERM: saved, resumable, exit code 143.",
        show_default=False,
    ),
]
ResumeOption = Annotated[
    Path | None, typer.Option("--resume", metavar="RUN", help="Go on with a run that was interrupted.")
]
ForceOption = Annotated[
    bool,
    typer.Option(
        "--force", help="Go on (--resume, and --extend or --branch of train) though config, code or data were changed."
    ),
]
AllowImportOption = Annotated[
    list[str] | None,
    typer.Option("--allow-import", metavar="NAME", help="Let the config run code of this package (or folder)."),
]


def engine_line(results: Mapping[str, Any]) -> str:
    """Which engine trained the most at once, and why."""
    return f"engine: {results['engine']['name']}: {results['engine']['reason']}"


#: What each executor does, for the help.
_EXECUTORS = "; ".join(f"{name}: {cls.does}" for name, cls in executors.EXECUTORS.kinds.items())

ExecutorOption = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="|".join(executors.names()),
        help=f"auto: processes for trials that train one by one, if that is worth it; {_EXECUTORS}.",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Jobs at once; unsaid: as many as cores, or as the cluster holds."),
]
RayAddressOption = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="auto|local|HOST:PORT",
        help="With --executor ray: the cluster; unsaid: RAY_ADDRESS, or the one that this machine is part of.",
        show_default=False,
    ),
]
SlurmClusterOption = Annotated[
    str,
    typer.Option(
        "--slurm-cluster",
        metavar="slurm|local",
        help="With --executor slurm: local plays the scheduler's part on this machine, to try it out.",
    ),
]


def one_config(argument: Path | None, option: Path | None) -> Path | None:
    """The config that was given, either way; UsageError where both were and differ."""
    if argument is not None and option is not None and argument != option:
        from lrtool.errors import UsageError

        raise UsageError(f"two configs are given: {argument} and {option}", remedy="leave one out")
    return argument or option


def needed_config(argument: Path | None, option: Path | None, command: str) -> Path:
    """The config that was given; UsageError where none was."""
    path = one_config(argument, option)
    if path is None:
        from lrtool.errors import UsageError

        raise UsageError(
            "no config is given",
            remedy=f"write: lrtool {command} CONFIG (and `lrtool init` writes a config)",
        )
    return path


def load(path: Path | None, overrides: Iterable[str] | None, seed: int | None, methods: bool = False) -> Config:
    """The checked config of a command; `methods`: with what other tools would suggest."""
    from lrtool.config.load import load_config

    return load_config(path, overriding(overrides, methods), seed)


def overriding(overrides: Iterable[str] | None, methods: bool) -> list[str]:
    """What a command sets of its config; `methods`: with what other tools would suggest."""
    return [*(overrides or ()), *(["range_test.methods=true"] if methods else [])]


def budget_runs(budget: str | None) -> float | None:
    """A budget as it is written, `1.5x` or `1.5`, in training runs; UsageError where it is none."""
    import math
    import re

    from lrtool.errors import UsageError

    if budget is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*x?\s*", budget)
    if match is None or not 0 < float(match[1]) < math.inf:
        raise UsageError(
            f"a budget is a number of training runs above 0, but got {brief(budget, 60)!r}",
            where="--budget",
            remedy="write for example --budget 1.5x",
        )
    return float(match[1])


def allowed(names: Iterable[str] | None) -> frozenset[str]:
    """Packages and folders whose code may run, from the option and LRTOOL_ALLOW_IMPORT."""
    listed = os.environ.get("LRTOOL_ALLOW_IMPORT", "").split(",")
    return frozenset(name.strip() for name in [*listed, *(names or ())] if name.strip())


def say(text: str, *, err: bool = False) -> None:
    """Print lines for people; names and texts from configs and run folders cannot move the cursor."""
    stream = sys.stderr if err else sys.stdout
    stream.write(printable(text, keep="\n") + "\n")
    stream.flush()


def print_json(document: Any) -> None:
    """One JSON document on stdout; NaN and infinities, which JSON lacks, as null."""
    import json

    from lrtool.runs.atomic import finite

    found = finite(document)
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    if not streams.document_can_be(text):
        # Escapes read back as the same, whatever the terminal or pipe takes.
        text = json.dumps(found, indent=2) + "\n"
    streams.write_document(text)


def add_run(name: str, folder: Path, summary: Mapping[str, Any]) -> None:
    """Add a run to the summary of a GitHub job, where it runs in one; a file that cannot be written is only said."""
    if os.environ.get("GITHUB_STEP_SUMMARY"):
        from lrtool.report.exports.step_summary import run_text

        _add(run_text(name, folder, summary))


def add_comparison(result: ComparisonResult) -> None:
    """Add a comparison to the summary of a GitHub job, where it runs in one."""
    if os.environ.get("GITHUB_STEP_SUMMARY"):
        from lrtool.report.exports.step_summary import comparison_text

        _add(comparison_text(result))


def _add(text: str) -> None:
    from lrtool.report.exports.step_summary import append

    if problem := append(text):
        say(f"note: {problem}", err=True)
