"""`summary.json`: what a command found, for scripts to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lrtool.errors import UsageError

#: Raised whenever a key changes its meaning or goes away.
SCHEMA = 1


def summary(
    command: str, status: str, *, reason: str, steps: int, seconds: float, config_hash: str, **results: Any
) -> dict[str, Any]:
    """The keys every summary has, in order, then the command's own `results`."""
    return {
        "schema": SCHEMA,
        "command": command,
        "status": status,
        "reason": reason,
        "steps": steps,
        "seconds": round(seconds, 3),
        "config_hash": config_hash,
        **results,
    }


def read_summary(path: Path) -> dict[str, Any]:
    """A summary as a dictionary; raises UsageError where it is missing, damaged or from a newer lrtool."""
    try:
        document = json.loads(path.read_bytes())
    except OSError:
        raise UsageError("there is no summary; the run may still be going on", where=str(path)) from None
    except ValueError:
        raise UsageError("the summary is damaged: it is not JSON", where=str(path), remedy="run again") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, int):
        raise UsageError("this is not a summary: it has no schema number", where=str(path))
    if schema > SCHEMA:
        raise UsageError(
            f"the summary has schema {schema}, but this lrtool reads up to {SCHEMA}",
            where=str(path),
            remedy="update lrtool",
        )
    return dict(document)
