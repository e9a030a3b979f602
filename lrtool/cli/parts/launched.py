"""A command line that several processes were started with, as by torchrun: who runs it, and who shares in it."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lrtool.errors import ExitCode, Interrupted, LrtoolError, RankLost, UsageError

if TYPE_CHECKING:
    from lrtool.engine.parallel.ranks import Ranks

#: Commands whose trainings the processes share; what the others do is done by the first process alone.
TOGETHER = ("train", "range-test", "tune")
#: Commands that divide their trials among processes themselves.
_DIVIDED = ("sweep", "transfer")

_ranks: Ranks | None = None


def together() -> bool:
    """Whether a launcher started several processes: it says so in RANK and WORLD_SIZE."""
    return "RANK" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"


def lost() -> bool:
    """Whether one of the processes is gone: then this one is on its way out already."""
    return _ranks is not None and _ranks.broken


def share_model() -> None:
    """Have each process hold a part of the model instead of a copy; UsageError for a process by itself."""
    if _ranks is None:
        raise UsageError(
            "this spreads a model over several processes, but there is one",
            where="--fsdp",
            remedy="start several: torchrun --nproc-per-node 2 -m lrtool train CONFIG --fsdp (or range-test, or tune)",
        )
    _ranks.sharded = True


def run_together(arguments: list[str], run: Callable[[list[str]], int]) -> int:
    """Run a command line as one of several processes; gives the exit code, the same in each."""
    global _ranks
    first, command = os.environ["RANK"] == "0", _command(arguments)
    if command in _DIVIDED:
        return _refused(command) if first else ExitCode.USAGE
    if command not in TOGETHER or {"-h", "--help"} & set(arguments):
        return run(arguments) if first else ExitCode.DONE

    # Of a process that is gone we say it ourselves, without a page of torch's stack.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from lrtool.engine.parallel.joining import join_launched, part

    try:
        _ranks = join_launched()
    except (LrtoolError, RuntimeError, ValueError) as error:
        what = error if isinstance(error, LrtoolError) else f"the processes did not find each other: {error}"
        sys.stderr.write(f"error: {what}\n" if first else "")
        return error.exit_code if isinstance(error, LrtoolError) else ExitCode.USAGE
    code = _lead(_ranks, arguments, run) if first else _share(_ranks)
    part(_ranks)
    return code


def _lead(ranks: Ranks, arguments: list[str], run: Callable[[list[str]], int]) -> int:
    from lrtool.experiments.parallel.conducting import Farewell, dismiss

    signal.signal(signal.SIGINT, _stop)
    code = run(arguments)
    if not ranks.broken:
        dismiss(ranks, Farewell(code))
    return code


def _share(ranks: Ranks) -> int:
    """Train along, silently: whatever there is to say the first process says."""
    from lrtool.experiments.parallel.conducting import follow

    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - to the end of the process
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        return follow(ranks).code
    except KeyboardInterrupt as stop:
        if isinstance(stop, RankLost) and ranks.roll is not None and ranks.roll.silent(0):
            # The first process is the one that is gone.
            sys.stderr.write(f"interrupted; {stop}\n")
        return int(getattr(stop, "exit_code", ExitCode.INTERRUPTED))
    except Exception as error:
        ranks.failed(error)
        if not isinstance(error, LrtoolError):
            traceback.print_exc()
        return int(getattr(error, "exit_code", ExitCode.BUG))


def _stop(signum: int, frame: object) -> None:
    if not lost():
        raise Interrupted(signum)


def _refused(command: str) -> int:
    error = UsageError(
        f"several processes were started, but {command} trains each trial in one",
        where=f"lrtool {command}",
        remedy="start it once, without a launcher; it divides its trials among processes itself",
    )
    sys.stderr.write(f"error: {error}\n")
    return error.exit_code


def _command(arguments: Sequence[str]) -> str:
    return next((each for each in arguments if not each.startswith("-")), "")
