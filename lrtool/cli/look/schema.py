"""`lrtool schema`: the JSON schema of a config, or of a sweep."""

from __future__ import annotations

from typing import Annotated

import typer

from lrtool.cli.common import JsonOption, QuietOption, print_json


def command(
    sweep: Annotated[bool, typer.Option("--sweep", help="The schema of a sweep's file instead.")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Print the JSON schema of a config (or a sweep), for completion and checks in editors; it is JSON in any case.

    Write it to a file: lrtool schema > lrtool.schema.json

    and start configs with: # yaml-language-server: $schema=lrtool.schema.json
    """
    del as_json, quiet  # there is nothing else to print
    from lrtool.api import look

    print_json(look.schema(sweep=sweep))
