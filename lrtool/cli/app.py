"""The `lrtool` command: registers the commands and turns errors into messages and exit codes."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer

from lrtool import __version__, streams
from lrtool.cli.parts import launched
from lrtool.cli.parts.late import Late, late_group
from lrtool.cli.parts.options import as_override
from lrtool.errors import ExitCode, Interrupted, LrtoolError, uncovered
from lrtool.memory import keep_freed_memory
from lrtool.printable import brief, printable
from lrtool.safe_path import make_children_safe

#: What the system says where a disk, or a user's share of it, has no room left.
_FULL = (errno.ENOSPC, errno.EDQUOT)
#: What it says of a disk, a file system, a server of files or rights that fail, and of files that vanish.
_FAILING = {
    getattr(errno, name)
    for name in (
        "EIO", "EROFS", "EACCES", "EPERM", "EFBIG", "ESTALE", "EMFILE", "ENFILE", "EBUSY", "EISDIR", "ENODEV", "ENOENT",
        "ENOLCK", "ENOTCONN", "ENOTDIR", "ENOTSUP", "ENXIO", "EREMOTEIO", "ETIMEDOUT", "ETXTBSY", "EHOSTDOWN",
        "EHOSTUNREACH", "EAGAIN", "EINVAL", "ECONNRESET", "ESHUTDOWN", "EOVERFLOW", "EUCLEAN",
    )
    if hasattr(errno, name)
}  # fmt: skip
#: What asks to end: Ctrl-C, a stop from outside, a terminal that is closed, and a scheduler's early warning.
_ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name))
#: Set by a shell that asks for completions.
_COMPLETING = "_LRTOOL_COMPLETE"

#: Every command in the order of the help.
COMMANDS = {
    "range-test": Late("lrtool.cli.range_test", "LR range test: where loss falls, where it explodes."),
    "train": Late("lrtool.cli.train", "Train under the schedule: curves, checkpoints, summary."),
    "tune": Late("lrtool.cli.tune", "Find the best peak LR by measuring."),
    "transfer": Late("lrtool.cli.transfer", "The LR for a run too expensive to tune."),
    "sweep": Late("lrtool.cli.sweep", "Train many variants and seeds side by side; resumable."),
    "compare": Late("lrtool.cli.compare", "Compare runs: intervals, paired differences, a verdict."),
    "report": Late("lrtool.cli.report", "Write one HTML file that shows runs, offline."),
    "runs": Late("lrtool.cli.look.runs", "List runs, newest first: status, LR, loss."),
    "init": Late("lrtool.cli.init", "Write a commented config to start from."),
    "check": Late("lrtool.cli.check", "Validate a config: every problem, with its place."),
    "schema": Late("lrtool.cli.look.schema", "Print the JSON schema of a config, for editors."),
    "doctor": Late("lrtool.cli.look.doctor", "Show versions, devices, extras and compiler."),
    "schedule": Late("lrtool.cli.look.schedule", "Look at schedules, export them as code."),
    "theory": Late("lrtool.cli.theory", "What schedules should do, before paying for it."),
}

app = typer.Typer(
    name="lrtool",
    cls=late_group(COMMANDS),
    help="Which learning rate, which schedule? Measured on your model, your data and your budget.",
    no_args_is_help=True,
    # Plain help: rich would cost as much start-up time as everything else together.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lrtool {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a bug (also: LRTOOL_DEBUG=1).")] = False,
) -> None:
    """Which learning rate, which schedule? Measured on your model, your data and your budget."""


def main() -> None:
    """Run the command line and exit with its code."""
    streams.open_closed()
    keep_freed_memory()
    make_children_safe()
    if _COMPLETING in os.environ:
        app(prog_name="lrtool")
    code = launched.run_together(sys.argv[1:], run) if launched.together() else run(sys.argv[1:])
    streams.keep_reserved_to_the_end()
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run a command line; gives the exit code. Errors are messages on stderr, never tracebacks."""
    # What `nohup` ignores stays ignored.
    heard = [each for each in _ENDING if each is signal.SIGTERM or signal.getsignal(each) != signal.SIG_IGN]
    Interrupted.heard = None
    previous = {each: signal.signal(each, _terminate) for each in heard}
    hook, sys.unraisablehook = sys.unraisablehook, _unraisable
    streams.make_forgiving()
    debug = bool(os.environ.get("LRTOOL_DEBUG"))
    try:
        # Not `app(arguments)`: that turns every KeyboardInterrupt, and so what it carries, into code 130.
        root = typer.main.get_command(app)
        with root.make_context("lrtool", arguments) as context:
            debug |= bool(context.params.get("debug"))
            with uncovered():
                root.invoke(context)
        sys.stdout.flush()
    except LrtoolError as error:
        if debug:
            _show_cause(error)
        return _say(_listed(error), error.exit_code)
    except typer.Exit as leave:
        return leave.exit_code
    except KeyboardInterrupt as stop:
        notes = getattr(stop, "__notes__", [])
        why = str(stop) if str(stop) in Interrupted.reasons.values() else "interrupted"
        return _say("; ".join([why, *notes]), getattr(stop, "exit_code", ExitCode.INTERRUPTED), prefix="")
    except BrokenPipeError:
        # The reader went away (`lrtool … | head`); there is nobody left to write to.
        _close_stdout()
        return ExitCode.DONE
    except Exception as error:
        return _failed(error, debug)
    finally:
        streams.release_stdout()
        Interrupted.heard, sys.unraisablehook = None, hook
        for number, handler in previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
    return ExitCode.DONE


def _failed(error: Exception, debug: bool) -> int:
    """What the system, or a value that nothing can be made of, ended; a bug of ours where it is none of them."""
    match error:
        case MemoryError():
            what = f"memory ran out: {brief(str(error))}" if str(error) else "memory ran out"
            return _say(f"{what}; train with less at a time: a smaller model, fewer updates or samples", ExitCode.TASK)
        case OSError(errno=errno.ENAMETOOLONG | errno.ELOOP):
            return _say(f"{error.filename}: {error.strerror}; give another path", ExitCode.USAGE)
        case OSError() if error.errno in _FULL:
            _close_stdout()
            return _say(f"output could not be written: {error.strerror}; make room on the disk", ExitCode.OUTPUT)
        case OSError() if error.errno in _FAILING:
            place = f"{error.filename}: " if error.filename else ""
            return _say(f"{place}cannot be read or written: {error.strerror}", ExitCode.OUTPUT)
        case ValueError() if "embedded null" in str(error):
            return _say("a path has a NUL in it, as no file can have; write another", ExitCode.USAGE)
    return _unexpected(error, debug)


def _close_stdout() -> None:
    """Send what is still buffered nowhere: Python would try to write it again when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unexpected(error: Exception, debug: bool) -> int:
    """A usage error of typer's, or a bug of ours."""
    show = getattr(error, "show", None)
    if show is not None and hasattr(error, "exit_code"):
        _name_value(error)
        text = io.StringIO()
        show(file=text)
        sys.stderr.write(text.getvalue() + as_override(error))
        return int(error.exit_code)
    import tempfile
    import traceback

    if debug:
        traceback.print_exc()
        return ExitCode.BUG
    with tempfile.NamedTemporaryFile("w", prefix="lrtool-bug-", suffix=".txt", delete=False) as file:
        traceback.print_exception(error, file=file)
    return _say(
        f"this is a bug in lrtool: {type(error).__name__}: {brief(str(error))}\n"
        f"please report it with {file.name} (lrtool --debug … prints the same here)",
        ExitCode.BUG,
    )


def _show_cause(error: LrtoolError) -> None:
    """The whole of what an error was made of, such as torch's own text."""
    import traceback

    if error.__cause__ is not None:
        traceback.print_exception(error.__cause__)


def _name_value(error: Any) -> None:
    """Say which value it was that an option could not take: typer's own message leaves it out."""
    found = getattr(error.__cause__, "errors", None)
    if callable(found) and hasattr(error, "message"):
        first = found()[0]
        rule = first["msg"].partition(",")[0].replace("Input should be a valid", "expected a valid")
        error.message = f"{rule}, but got {first['input']!r}"


def _listed(error: LrtoolError) -> str:
    """The message of an error; several problems stand below each other."""
    problems = getattr(error, "problems", ())
    if len(problems) < 2:
        return str(error)
    return "\n  ".join([f"{len(problems)} problems in the config", *map(str, problems)])


def _say(message: str, code: int, prefix: str = "error: ") -> int:
    # A terminal that was closed takes no words; the exit code is for whoever waits.
    with suppress(OSError):
        sys.stderr.write(f"{prefix}{printable(message, keep=chr(10))}\n")
        sys.stderr.flush()
    return int(code)


def _unraisable(lost: sys.UnraisableHookArgs) -> None:
    # A signal that came in a destructor, or amid a fork, is kept in `Interrupted.heard`.
    if not isinstance(lost.exc_value, Interrupted):
        sys.__unraisablehook__(lost)


def _terminate(signum: int, frame: object) -> None:
    # A launcher stops all processes once one is gone; this one is on its way out, and has a run to write down.
    if not launched.lost():
        Interrupted.heard = Interrupted(signum)
        raise Interrupted.heard
