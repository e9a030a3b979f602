"""`lrtool check`: validate a config, or a sweep, without training."""

from __future__ import annotations

from typing import Annotated

import typer

from lrtool.cli.common import (
    AllowImportOption,
    ConfigArgument,
    ConfigOption,
    JsonOption,
    QuietOption,
    SeedOption,
    SetOption,
    allowed,
    needed_config,
    print_json,
    say,
)
from lrtool.errors import LrtoolError


def command(
    config: ConfigArgument = None,
    config_option: ConfigOption = None,
    resolve: Annotated[bool, typer.Option("--resolve", help="Also build model and data, and try one update.")] = False,
    overrides: SetOption = None,
    seed: SeedOption = None,
    allow_import: AllowImportOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Check a config or a sweep: every problem at once, each with file, line and column."""
    from lrtool.api.check import check

    path = needed_config(config, config_option, "check")
    try:
        found = check(path, resolve=resolve, overrides=overrides or (), seed=seed, allow_import=allowed(allow_import))
    except LrtoolError as error:
        if as_json:
            print_json({"status": "error", "config": str(path), "problems": _problems(error)})
        raise
    if as_json:
        print_json(found.document())
        return
    width = max(map(len, found.facts))
    say(found.answer)
    for name, value in found.facts.items() if not quiet else ():
        shown = f"{value:.4g}" if isinstance(value, float) else value
        say(f"  {name.replace('_', ' '):{width}}  {shown}")


def _problems(error: LrtoolError) -> list[dict[str, str]]:
    """The problems of an error: those of a config, or the error itself."""
    found = getattr(error, "problems", None)
    if found is None:
        return [{"place": error.where or "", "key": "", "what": error.what, "remedy": error.remedy or ""}]
    return [{"place": p.place, "key": p.key, "what": p.what, "remedy": p.remedy} for p in found]
