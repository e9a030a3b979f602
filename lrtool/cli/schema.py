"""`lrtool schema`: the JSON schema of a config."""

from __future__ import annotations

from lrtool.cli.common import print_json


def command() -> None:
    """Print the JSON schema of a config, for completion and checks in editors.

    Write it to a file: lrtool schema > lrtool.schema.json

    and start configs with: # yaml-language-server: $schema=lrtool.schema.json
    """
    from lrtool.config.schema import json_schema

    print_json(json_schema())
