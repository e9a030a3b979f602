"""`lrtool check`: validate a config without training."""

from __future__ import annotations

from typing import Annotated

import typer

from lrtool.cli.common import (
    AllowImportOption,
    ConfigArgument,
    ConfigOption,
    JsonOption,
    SeedOption,
    SetOption,
    allowed,
    load,
    needed_config,
    print_json,
)


def command(
    config: ConfigArgument = None,
    config_option: ConfigOption = None,
    resolve: Annotated[bool, typer.Option("--resolve", help="Also build model and data and try one batch.")] = False,
    overrides: SetOption = None,
    seed: SeedOption = None,
    allow_import: AllowImportOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a config: every problem at once, each with file, line and column."""
    path = needed_config(config, config_option, "check")
    checked = load(path, overrides, seed)
    facts: dict[str, object] = {
        "config": str(path),
        "name": checked.name,
        "model": checked.model.kind,
        "data": checked.data.kind,
        "optimizer": checked.optimizer.kind,
        "lr": checked.optimizer.lr,
        "schedule": checked.schedule.kind,
        "duration": checked.train.duration.written(),
        "config_hash": checked.hash(),
    }
    if resolve:
        from lrtool.experiments.setup import prepare

        setup = prepare(checked, allowed(allow_import))
        setup.trial(checked.seed, checked.optimizer.lr)
        facts |= setup.describe()
    if as_json:
        print_json({"status": "ok", **facts})
        return
    width = max(map(len, facts))
    typer.echo(f"{path} is fine")
    for name, value in list(facts.items())[1:]:
        typer.echo(f"  {name.replace('_', ' '):{width}}  {value}")
