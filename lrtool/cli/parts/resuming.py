"""What commands do with --resume before anything is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from lrtool.cli.common import print_json, say
from lrtool.errors import ExitCode, UsageError
from lrtool.status import Status

if TYPE_CHECKING:
    from lrtool.config.schema import Config
    from lrtool.experiments.setup import Setup
    from lrtool.runs.folder import RunFolder

#: How a run ends that has nothing more to do.
_OVER = (Status.FINISHED, Status.DIVERGED)


def resumed(
    path: Path, command: str, others: Iterable[object], allowed: frozenset[str], force: bool, as_json: bool
) -> tuple[RunFolder, Setup]:
    """The folder of a search that goes on, and its setup; it may run the code that it was started with.

    UsageError where `others` than --resume say how it is to be done, or the folder is not one of this command's; leaves
    where the search is over.
    """
    if any(others):
        raise UsageError(
            f"--resume goes on with the {command} as it was asked for",
            remedy="leave out CONFIG, --budget, --set, --seed and what else says how, or start a new one",
        )

    from lrtool.config.load import load_config
    from lrtool.config.started import allowed_again
    from lrtool.experiments.resuming.searches import opened
    from lrtool.experiments.setup import prepare
    from lrtool.runs.folder import RunFolder

    folder = RunFolder.open(path)
    opened(folder, command)
    config = load_config(folder.config, code_beside=False)
    known = allowed_again(config, allowed)
    if is_over(left_behind(folder), config) and not force:
        raise typer.Exit(nothing_to_do(folder, as_json, lambda left: f"{_found(left)}\ndata: {folder.path}"))
    return folder, prepare(config, known)


def opened_training(path: Path) -> RunFolder:
    """The run to go on with; UsageError where it is none that can be."""
    from lrtool.runs.folder import RunFolder

    folder = RunFolder.open(path)
    made_by = folder.command
    if made_by in ("", "train", "smoke"):
        return folder
    remedy = f"write: lrtool {made_by} CONFIG to do it again"
    if made_by == "sweep":
        remedy = f"write: lrtool sweep --resume {path}"
    elif made_by in ("range-test", "tune", "transfer"):
        remedy = f"write: lrtool train CONFIG --lr-from {path} to train with the LR that it suggests"
    raise UsageError(f"this is a {made_by} run; train goes on with runs of train", where=str(path), remedy=remedy)


def left_behind(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run; empty where it was killed before it wrote one."""
    return folder.summary() if (folder.path / "summary.json").is_file() else {}


def is_over(left: Mapping[str, Any], config: Config) -> bool:
    """Whether a run with this summary has nothing more to do under a config."""
    return left.get("status") in _OVER and left.get("config_hash") == config.hash()


def nothing_to_do(folder: RunFolder, as_json: bool, said: Callable[[Mapping[str, Any]], str]) -> ExitCode:
    """Say that a run is over, by its summary; nothing in its folder changes. Gives how it had ended."""
    summary = folder.summary()
    if as_json:
        print_json({**summary, "folder": str(folder.path), "nothing_to_do": True})
    else:
        say(f"nothing to do: {said(summary)}")
    return ExitCode.DIVERGED if summary["status"] == Status.DIVERGED else ExitCode.DONE


def _found(summary: Mapping[str, Any]) -> str:
    """What a search that is over had found."""
    lr = summary.get("suggested_lr")
    said = f"it suggests lr {lr:.3g}" if isinstance(lr, int | float) else f"it suggests no LR: {summary['reason']}"
    return f"this {summary['command']} {summary['status']}; {said}"
