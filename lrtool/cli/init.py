"""`lrtool init`: a commented config to start from."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from lrtool.cli.common import AllowImportOption, JsonOption, QuietOption, allowed, print_json, say
from lrtool.cli.look.schedule import complete_schedule
from lrtool.errors import OutputError, UsageError


def complete_optimizer(incomplete: str) -> list[str]:
    """Kinds of optimizers that begin so, for the shell."""
    from lrtool.optimizers import KINDS

    return [kind for kind in KINDS.kinds if kind.startswith(incomplete)]


def complete_model(incomplete: str) -> list[str]:
    """Kinds of models that begin so, for the shell."""
    from lrtool.tasks.models import KINDS

    return [kind for kind in KINDS.kinds if kind.startswith(incomplete) and kind != "use"]


def complete_data(incomplete: str) -> list[str]:
    """Kinds of data that begin so, for the shell."""
    from lrtool.tasks.datasets import KINDS

    return [kind for kind in KINDS.kinds if kind.startswith(incomplete) and kind != "use"]


def command(
    path: Annotated[Path | None, typer.Argument(metavar="FILE", help="Where to write it; unsaid: stdout.")] = None,
    model: Annotated[
        str, typer.Option(help="A built-in kind, or my_model.py:Net.", autocompletion=complete_model)
    ] = "mlp",
    data: Annotated[
        str, typer.Option(help="A built-in kind, or my_data.py:load.", autocompletion=complete_data)
    ] = "digits",
    optimizer: Annotated[
        str, typer.Option(help="A built-in kind, or my_opt.py:Name.", autocompletion=complete_optimizer)
    ] = "sgd",
    schedule: Annotated[str, typer.Option(help="A built-in kind.", autocompletion=complete_schedule)] = "one_cycle",
    name: Annotated[str | None, typer.Option(help="Name of the run; unsaid: the file's.", show_default=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")] = False,
    allow_import: AllowImportOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a commented config for a built-in task, or for a model and data of your own.

    Files of your own are named from where you are; the config names them from its own folder, and only files in or
    beneath that folder run unasked.
    """
    from lrtool.config.writing.template import own_code, template

    folder, names = (path.parent if path is not None else Path()), allowed(allow_import)
    given = {"model": model, "data": data, "optimizer": optimizer}
    model, data, optimizer = (own_code(each, folder, names, section) for section, each in given.items())
    text, missing = template(name or (path.stem if path is not None else "run"), model, data, optimizer, schedule)
    hint = ""
    if path is not None:
        _write(path, text, force)
        more = [word for each in allow_import or () for word in ("--allow-import", each)]
        hint = shlex.join(["lrtool", "check", str(path), "--resolve", *more])
    if as_json:
        print_json({"path": path and str(path), "config": text, "fill_in": missing, "next": hint})
        return
    if path is None:
        say(text.rstrip("\n"))
    elif not quiet:
        say(f"written: {path}\nnext: {hint}", err=True)
    if missing and not quiet:
        say(f"fill in before use: {', '.join(missing)}", err=True)


def _write(path: Path, text: str, force: bool) -> None:
    from lrtool.runs.atomic import write_text

    if path.exists() and not force:
        raise UsageError("this file exists already", where=str(path), remedy="choose another, or add --force")
    try:
        write_text(path, text)
    except OutputError as error:
        remedy = "give a FILE in a folder that is there and can be written"
        raise OutputError(error.what, where=error.where, remedy=remedy) from None
