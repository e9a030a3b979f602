"""`lrtool init`: a commented config to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lrtool.errors import OutputError, UsageError


def command(
    path: Annotated[Path | None, typer.Argument(metavar="FILE", help="Where to write it; unsaid: stdout.")] = None,
    model: Annotated[str, typer.Option(help="A built-in kind, or my_model.py:Net.")] = "mlp",
    data: Annotated[str, typer.Option(help="A built-in kind, or my_data.py:load.")] = "digits",
    optimizer: Annotated[str, typer.Option(help="A built-in kind, or my_opt.py:Name.")] = "sgd",
    schedule: Annotated[str, typer.Option(help="A built-in kind.")] = "one_cycle",
    name: Annotated[str | None, typer.Option(help="Name of the run; unsaid: the file's.", show_default=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")] = False,
) -> None:
    """Write a commented config for a built-in task, or for a model and data of your own."""
    from lrtool.config.template import template
    from lrtool.runs.atomic import write_text

    text, missing = template(name or (path.stem if path is not None else "run"), model, data, optimizer, schedule)
    if path is None:
        typer.echo(text, nl=False)
    else:
        if path.exists() and not force:
            raise UsageError("this file exists already", where=str(path), remedy="choose another, or add --force")
        try:
            write_text(path, text)
        except OutputError as error:
            remedy = "give a FILE in a folder that is there and can be written"
            raise OutputError(error.what, where=error.where, remedy=remedy) from None
        typer.echo(f"written: {path}\nnext: lrtool check {path} --resolve", err=True)
    if missing:
        typer.echo(f"fill in before use: {', '.join(missing)}", err=True)
