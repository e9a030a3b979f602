"""`lrtool doctor`: what is installed, which device there is."""

from __future__ import annotations

from pathlib import Path

import typer

from lrtool.cli.common import JsonOption, OutputOption, print_json


def command(output: OutputOption = Path("outputs"), as_json: JsonOption = False) -> None:
    """Show versions, devices, extras, compiler and whether output can be written."""
    from lrtool.experiments.doctor import examine

    findings = examine(output)
    if as_json:
        print_json(findings)
        return
    for section, facts in findings.items():
        typer.echo(section.replace("_", " "))
        for name, value in facts.items():
            typer.echo(f"  {name:24} {value}")
