"""`lrtool schedule`: look at schedules without torch."""

from __future__ import annotations

import typer

app = typer.Typer(help="List, show, explain and export schedules.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_() -> None:
    """All kinds, one line each."""
    from lrtool.schedules import KINDS

    for kind, cls in KINDS.kinds.items():
        typer.echo(f"{kind:20} {(cls.__doc__ or '').splitlines()[0]}")


@app.callback()
def _group() -> None:
    """List, show, explain and export schedules."""
