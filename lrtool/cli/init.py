"""`lrtool init`: a commented config to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lrtool.cli.common import AllowImportOption, JsonOption, QuietOption, allowed, print_json, say
from lrtool.cli.look.schedule import complete_schedule


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
        str,
        typer.Option(
            help="A built-in kind, my_data.py:load, a file, or a folder of images.", autocompletion=complete_data
        ),
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

    The kind of a data file (CSV, Parquet, NumPy, text), or of a folder of images, is found. Files of your own are named
    from where you are; the config names them from its own folder, and only code in or beneath that folder runs unasked.
    """
    from lrtool.api.init import init

    kinds = {"model": model, "data": data, "optimizer": optimizer, "schedule": schedule}
    new = init(path, **kinds, name=name, force=force, allow_import=allowed(allow_import))
    if as_json:
        print_json({"path": path and str(path), "config": new.text, "fill_in": list(new.fill_in), "next": new.next})
        return
    if path is None:
        say(new.text.rstrip("\n"))
    elif not quiet:
        say(f"written: {path}\nnext: {new.next}", err=True)
    if new.fill_in and not quiet:
        say(f"fill in before use: {', '.join(new.fill_in)}", err=True)
