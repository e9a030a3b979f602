"""`lrtool doctor`: what is installed, which device there is."""

from __future__ import annotations

from pathlib import Path

from lrtool.cli.common import JsonOption, OutputOption, QuietOption, print_json, say

#: How findings say that something is not as it could be.
_LACKING = ("missing", "not installed", "none found", "cannot be written")


def command(output: OutputOption = Path("outputs"), as_json: JsonOption = False, quiet: QuietOption = False) -> None:
    """Show versions, devices, extras, compiler and whether output can be written; with --quiet what is missing."""
    from lrtool.api.look import doctor

    findings = doctor(output)
    if as_json:
        print_json(findings)
        return
    for section, facts in findings.items():
        lacking = {name: value for name, value in facts.items() if any(word in value for word in _LACKING)}
        shown = lacking if quiet else facts
        if shown:
            say("\n".join([section.replace("_", " "), *(f"  {name:24} {value}" for name, value in shown.items())]))
