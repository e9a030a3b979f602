"""What commands say of a run that was to go on, and had ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lrtool.cli.common import print_json, say
from lrtool.errors import ExitCode
from lrtool.status import Status

if TYPE_CHECKING:
    from lrtool.api.results.base import Result


def nothing_to_do(answer: Result, as_json: bool, said: Callable[[Mapping[str, Any]], str]) -> ExitCode:
    """Say that a run is over, by its summary; nothing in its folder changes. Gives how it had ended."""
    if as_json:
        print_json({**answer.summary, "folder": str(answer.folder), "nothing_to_do": True})
    else:
        say(f"nothing to do: {said(answer.summary)}")
    return ExitCode.DIVERGED if answer.status is Status.DIVERGED else ExitCode.DONE


def search_is_over(answer: Result, as_json: bool) -> ExitCode:
    """Say what a search that is over had found."""
    return nothing_to_do(answer, as_json, lambda left: f"{_found(left)}\ndata: {answer.folder}")


def _found(summary: Mapping[str, Any]) -> str:
    """What a search that is over had found."""
    lr = summary.get("suggested_lr")
    said = f"it suggests lr {lr:.3g}" if isinstance(lr, int | float) else f"it suggests no LR: {summary['reason']}"
    return f"this {summary['command']} {summary['status']}; {said}"
