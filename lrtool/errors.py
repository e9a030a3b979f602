"""The errors lrtool raises on purpose; each kind maps to one exit code.

A message says what is wrong, where, what was got, and what to write instead. Only the command line
turns these into exit codes; library users catch them as ordinary exceptions.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import ClassVar

#: Letters of a word that it is compared by.
_LONGEST_WORD = 60


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


def closest(word: str, names: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The name that was probably meant: the same but for dashes and capitals, one slip away, or alike enough.

    A slip is a letter too many, too few, another, or two in the wrong order.

    >>> closest("Weight-Decay", ["weight_decay"]), closest("rl", ["lr", "kind"]), closest("x" * 10**6, ["lr"])
    ('weight_decay', 'lr', None)
    """
    import difflib

    # No name is so long, and comparing takes longer the longer they are.
    word = word[:_LONGEST_WORD].lower().replace("-", "_").replace(" ", "_")
    alike = {name.lower().replace("-", "_"): name for name in names}
    if word in alike:
        return alike[word]
    for name in alike:
        if _one_slip(word, name):
            return alike[name]
    near = difflib.get_close_matches(word, alike, n=1, cutoff=cutoff)
    return alike[near[0]] if near else None


def _one_slip(one: str, other: str) -> bool:
    """Whether one letter, or the order of two neighbours, is all that differs."""
    if len(one) > len(other):
        one, other = other, one
    if len(other) - len(one) > 1 or len(other) < 2:
        return False
    same = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
    if len(one) < len(other):
        return one[same:] == other[same + 1 :]
    swapped = one[same : same + 2] == other[same : same + 2][::-1] and one[same + 2 :] == other[same + 2 :]
    return swapped or one[same + 1 :] == other[same + 1 :]


def nearest(word: str, names: Iterable[str]) -> str:
    """The remedy for a name that is not there: the one that was probably meant, or all there are.

    >>> nearest("Coisne", ["cosine", "constant"]), nearest("ray", ["local"])
    ("did you mean 'cosine'?", 'choose one of: local')
    """
    listed = list(names)
    near = closest(word, listed)
    return f"did you mean {near!r}?" if near else f"choose one of: {', '.join(listed)}"


class Interrupted(KeyboardInterrupt):
    """A signal stopped the work at a place where everything measured is kept and resumable.

    SIGINT, SIGTERM or SIGHUP; SIGUSR1, by which schedulers say that time is nearly up, counts as SIGTERM.
    """

    #: Why lrtool itself sent a signal, by its number: a time limit.
    reasons: ClassVar[dict[int, str]] = {}
    #: What the command line's handler raised last; it may come at any line, also where nobody passes it on.
    heard: ClassVar[Interrupted | None] = None

    def __init__(self, signum: int) -> None:
        super().__init__(self.reasons.get(signum, f"stopped by signal {signum}"))
        self.signum = signum
        early = signum == getattr(signal, "SIGUSR1", None)
        self.exit_code = ExitCode.TERMINATED if early else ExitCode(128 + signum)

    @classmethod
    def check(cls) -> None:
        """Raise what was heard and not passed on, as of a signal that comes amid a fork or in a destructor."""
        if cls.heard is not None:
            raise cls.heard


class RankLost(Interrupted):
    """One of several processes that train together died or does not answer; what was saved can be gone on with."""

    def __init__(self, what: str) -> None:
        KeyboardInterrupt.__init__(self, what)
        self.signum = 15
        self.exit_code = ExitCode.TERMINATED
        self.add_note(what)


@contextmanager
def uncovered() -> Iterator[None]:
    """A signal that came inside ends what is done inside as one, also where a library made an error of its own of it.

    Code in C does, of whatever is raised while it calls back: pydantic while it writes a field, pybind11 while it looks
    whether an argument is an array.
    """
    try:
        yield
    except Exception as error:
        stop = _behind(error)
        if stop is None:
            raise
        raise stop from None


def _behind(error: Exception) -> BaseException | None:
    """The signal that an error comes of, if it does; what ends with a code of its own is meant as it is."""
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, KeyboardInterrupt):
        behind = behind.__cause__
    return behind or (None if hasattr(error, "exit_code") else Interrupted.heard)
