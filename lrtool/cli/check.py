"""`lrtool check`: validate a config, or a sweep, without training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    load,
    needed_config,
    print_json,
    say,
)
from lrtool.errors import LrtoolError

if TYPE_CHECKING:
    from lrtool.config.schema import Config


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
    path = needed_config(config, config_option, "check")
    try:
        checked, planned = _loaded(path, overrides, seed)
        facts = _facts(path, checked) | planned | (_resolved(checked, allowed(allow_import)) if resolve else {})
    except LrtoolError as error:
        if as_json:
            print_json({"status": "error", "config": str(path), "problems": _problems(error)})
        raise
    if as_json:
        print_json({"status": "ok", **facts})
        return
    width = max(map(len, facts))
    say(f"{path} is fine")
    if quiet:
        return
    for name, value in list(facts.items())[1:]:
        say(f"  {name.replace('_', ' '):{width}}  {value}")


def _loaded(path: Path, overrides: list[str] | None, seed: int | None) -> tuple[Config, dict[str, object]]:
    """The config, and of a sweep (a file with a `base`) that base and what would be trained."""
    from lrtool.config.document import read_document
    from lrtool.config.sweep.load import is_sweep, load_sweep

    if not is_sweep(read_document(path).data):
        return load(path, overrides, seed), {}

    sweep = load_sweep(path, overrides or (), seed)
    trials = sweep.trials()
    if sweep.config.tune is not None or sweep.config.sampler == "tpe":
        # What is tuned or drawn follows from what was trained before.
        return sweep.base, {"sweep": sweep.config.name, "trials": "as `lrtool sweep --dry-run` predicts"}
    variants, notes = len({trial.variant for trial in trials}), sweep.planner.notes
    facts: dict[str, object] = {"sweep": sweep.config.name, "trials": len(trials), "variants": variants}
    return sweep.base, {**facts, "note": "; ".join(notes)} if notes else facts


def _facts(path: Path, config: Config) -> dict[str, object]:
    """What the config says, without building anything."""
    return {
        "config": str(path),
        "name": config.name,
        "model": config.model.kind,
        "data": config.data.kind,
        "optimizer": config.optimizer.kind,
        "lr": config.optimizer.lr,
        "schedule": config.schedule.kind,
        "duration": config.train.duration.written(),
        "config_hash": config.hash(),
    }


def _resolved(config: Config, allow_import: frozenset[str]) -> dict[str, object]:
    """What only building the task shows, and the losses of a first update and of validation after it."""
    from lrtool.experiments.setup import prepare
    from lrtool.experiments.tryout import stacks, try_update

    setup = prepare(config, allow_import)
    losses = try_update(setup)
    return {"config_hash": setup.config.hash(), **setup.describe(), **losses, "stacks": stacks(setup)}


def _problems(error: LrtoolError) -> list[dict[str, str]]:
    """The problems of an error: those of a config, or the error itself."""
    found = getattr(error, "problems", None)
    if found is None:
        return [{"place": error.where or "", "key": "", "what": error.what, "remedy": error.remedy or ""}]
    return [{"place": p.place, "key": p.key, "what": p.what, "remedy": p.remedy} for p in found]
