"""The errors lrtool raises on purpose; each kind maps to one exit code.

A message says what is wrong, where, what was got, and what to write instead. Only the command line
turns these into exit codes; library users catch them as ordinary exceptions.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the process returns to the shell (a contract that scripts rely on)."""

    DONE = 0
    BUG = 1
    USAGE = 2
    DIVERGED = 3
    TASK = 4
    OUTPUT = 5
    UNMET = 6
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


class LrtoolError(Exception):
    """An error with a place and a remedy.

    `what` is one sentence; `where` a place such as `file:line:column` or a field's name; `remedy` says
    what to write or do instead.

    >>> print(UsageError("gamma must be above 0, but got -1", where="schedule.gamma", remedy="try gamma: 0.95"))
    schedule.gamma: gamma must be above 0, but got -1; try gamma: 0.95
    """

    exit_code: ClassVar[ExitCode] = ExitCode.BUG

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        self.what, self.where, self.remedy = what, where, remedy
        place = f"{where}: " if where else ""
        advice = f"; {remedy}" if remedy else ""
        super().__init__(f"{place}{what}{advice}")


class UsageError(LrtoolError):
    """The command line, the config or an argument is wrong."""

    exit_code = ExitCode.USAGE


class ScheduleError(UsageError, ValueError):
    """A schedule's field, or a step or LR it is asked for, breaks the rule of that schedule."""


class TaskError(LrtoolError):
    """The user's model, data or loss failed, or memory ran out."""

    exit_code = ExitCode.TASK


class OutputError(LrtoolError):
    """A result could not be written."""

    exit_code = ExitCode.OUTPUT


class UnmetError(LrtoolError):
    """What a script required of a comparison (`--require`, `--max-regression`) does not hold, or is not shown."""

    exit_code = ExitCode.UNMET


class MissingExtraError(UsageError):
    """An optional package is needed and not installed.

    >>> print(MissingExtraError("mnist1d", extra="datasets"))
    the package mnist1d is not installed; install it with: pip install 'lrtool[datasets]'
    """

    def __init__(self, package: str, *, extra: str, where: str | None = None) -> None:
        super().__init__(
            f"the package {package} is not installed",
            where=where,
            remedy=f"install it with: pip install 'lrtool[{extra}]'",
        )


def nearest(word: str, names: Iterable[str]) -> str:
    """The remedy for a name that is not there: the one that was probably meant, or all there are.

    >>> nearest("Coisne", ["cosine", "constant"]), nearest("ray", ["local"])
    ("did you mean 'cosine'?", 'choose one of: local')
    """
    import difflib

    # What is written with another dash, or in capitals, is the same name.
    alike = {name.lower().replace("-", "_"): name for name in names}
    near = difflib.get_close_matches(word.lower().replace("-", "_"), alike, n=1)
    return f"did you mean {alike[near[0]]!r}?" if near else f"choose one of: {', '.join(alike.values())}"


class Interrupted(KeyboardInterrupt):
    """A signal stopped the work at a place where everything measured is kept and resumable.

    SIGINT, SIGTERM or SIGHUP; SIGUSR1, by which schedulers say that time is nearly up, counts as SIGTERM.
    """

    #: Why lrtool itself sent a signal, by its number: a time limit.
    reasons: ClassVar[dict[int, str]] = {}

    def __init__(self, signum: int) -> None:
        super().__init__(self.reasons.get(signum, f"stopped by signal {signum}"))
        self.signum = signum
        early = signum == getattr(signal, "SIGUSR1", None)
        self.exit_code = ExitCode.TERMINATED if early else ExitCode(128 + signum)
