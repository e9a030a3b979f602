"""Runs that are gone on with: which can be, what they were started with, and whether they are over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from lrtool.errors import UsageError
from lrtool.status import Status

if TYPE_CHECKING:
    from lrtool.api.results.base import Result
    from lrtool.config.schema import Config
    from lrtool.experiments.setup import Setup
    from lrtool.runs.folder import RunFolder

#: A result of any command.
R = TypeVar("R", bound="Result")
#: How a run ends that has nothing more to do.
_OVER = (Status.FINISHED, Status.DIVERGED)


class Reopened(NamedTuple):
    """A search that goes on: its folder, its setup (None where it is over), and the code that it may run."""

    folder: RunFolder
    setup: Setup | None
    allowed: frozenset[str]


def reopened(
    path: str | Path, command: str, others: Iterable[object], allow_import: Iterable[str], force: bool
) -> Reopened:
    """A search that goes on; it may run the code that it was started with.

    UsageError where `others` than `resume` say how it is to be done, or the folder is not one of this command's.
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

    folder = RunFolder.open(Path(path))
    opened(folder, command)
    config = load_config(folder.config, code_beside=False)
    known = allowed_again(config, frozenset(allow_import))
    if is_over(left_behind(folder), config) and not force:
        return Reopened(folder, None, known)
    return Reopened(folder, prepare(config, known), known)


def opened_training(path: str | Path) -> RunFolder:
    """The run to go on with; UsageError where it is none that can be."""
    from lrtool.runs.folder import RunFolder

    folder = RunFolder.open(Path(path))
    made_by = folder.command
    if made_by in ("", "train", "smoke"):
        return folder
    remedy = f"write: lrtool {made_by} CONFIG to do it again"
    if made_by == "sweep":
        remedy = f"write: lrtool sweep --resume {path}"
    elif made_by in ("range-test", "tune", "transfer"):
        remedy = f"write: lrtool train CONFIG --lr-from {path} to train with the LR that it suggests"
    raise UsageError(f"this is a {made_by} run; train goes on with runs of train", where=str(path), remedy=remedy)


def as_started(
    folder: RunFolder, overrides: list[str], allow_import: Iterable[str], force: bool
) -> tuple[Config, frozenset[str]]:
    """The config in a training's folder, and the code that it may run: that which it was started with.

    Of what the overrides change it refuses all that a run cannot go on with.
    """
    from lrtool.config.load import load_config
    from lrtool.config.started import allowed_again
    from lrtool.runs.changes import check_changes

    config = load_config(folder.config, overrides, code_beside=False)
    if overrides and not force:
        before = load_config(folder.config, code_beside=False)
        check_changes(before.model_dump(mode="json"), config.model_dump(mode="json"), str(folder.path))
    known = allowed_again(config, frozenset(allow_import))
    # The run's own config says which LR, not why: that is in what it left behind.
    return config.lr_said(left_behind(folder).get("lr_from") or "as the run was started"), known


def over(answer: R) -> R:
    """The result of a run that was to go on, and had ended."""
    answer.nothing_to_do = True
    return answer


def needs_resume(force: bool) -> None:
    """UsageError where a run that is new is to be forced."""
    if force:
        raise UsageError("--force goes with --resume RUN: of a new run nothing can have been changed")


def left_behind(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run; empty where it was killed before it wrote one."""
    return folder.summary() if (folder.path / "summary.json").is_file() else {}


def is_over(left: Mapping[str, Any], config: Config) -> bool:
    """Whether a run with this summary has nothing more to do under a config."""
    return left.get("status") in _OVER and left.get("config_hash") == config.hash()
