"""The `lrtool` command: registers the commands and turns errors into messages and exit codes."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from typing import Annotated

import typer

from lrtool import __version__
from lrtool.cli import check, doctor, init, range_test, schedule, schema, train, tune
from lrtool.errors import ExitCode, LrtoolError

app = typer.Typer(
    name="lrtool",
    help="Which learning rate, which schedule? Measured on your model, your data and your budget.",
    no_args_is_help=True,
    add_completion=False,
    # Plain help: rich would cost as much start-up time as everything else together.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _module, _name in (
    (range_test, "range-test"),
    (train, "train"),
    (tune, "tune"),
    (init, "init"),
    (check, "check"),
    (schema, "schema"),
    (doctor, "doctor"),
):
    app.command(_name)(_module.command)
app.add_typer(schedule.app, name="schedule")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lrtool {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Which learning rate, which schedule? Measured on your model, your data and your budget."""


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command line; gives the exit code. Errors are messages on stderr, never tracebacks."""
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        # Not `app(arguments)`: that turns every KeyboardInterrupt, and so what it carries, into code 130.
        root = typer.main.get_command(app)
        with root.make_context("lrtool", arguments) as context:
            root.invoke(context)
        sys.stdout.flush()
    except LrtoolError as error:
        return _say(str(error), error.exit_code)
    except typer.Exit as leave:
        return leave.exit_code
    except KeyboardInterrupt as stop:
        notes = getattr(stop, "__notes__", [])
        return _say("; ".join(["interrupted", *notes]), getattr(stop, "exit_code", ExitCode.INTERRUPTED), prefix="")
    except BrokenPipeError:
        # The reader went away (`lrtool … | head`); there is nobody left to write to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except Exception as error:
        return _unexpected(error)
    finally:
        signal.signal(signal.SIGTERM, previous)
    return ExitCode.DONE


def _unexpected(error: Exception) -> int:
    """A usage error of typer's, or a bug of ours."""
    show = getattr(error, "show", None)
    if show is not None and hasattr(error, "exit_code"):
        show()
        return int(error.exit_code)
    if os.environ.get("LRTOOL_DEBUG"):
        traceback.print_exc()
        return ExitCode.BUG
    with tempfile.NamedTemporaryFile("w", prefix="lrtool-bug-", suffix=".txt", delete=False) as file:
        traceback.print_exception(error, file=file)
    return _say(
        f"this is a bug in lrtool: {type(error).__name__}: {error}\n"
        f"please report it with {file.name} (LRTOOL_DEBUG=1 prints the same here)",
        ExitCode.BUG,
    )


def _say(message: str, code: int, prefix: str = "error: ") -> int:
    sys.stderr.write(f"{prefix}{message}\n")
    return int(code)


def _terminate(signum: int, frame: object) -> None:
    from lrtool.errors import Interrupted

    raise Interrupted(signum)
