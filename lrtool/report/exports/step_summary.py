"""What a command found, in GitHub-flavoured Markdown, appended to the file that GITHUB_STEP_SUMMARY names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrtool.comparison.result import ComparisonResult
from lrtool.report.answers import answer, interval_text
from lrtool.report.exports.comparison import markdown, to_markdown
from lrtool.report.plots.style import number

#: GitHub's name of the file that a job's page shows.
VARIABLE = "GITHUB_STEP_SUMMARY"
#: GitHub shows nothing of a step's summary that is longer than 1 MiB.
_MOST = 2**20


def append(text: str) -> str:
    """Append to the file; gives why not, where it cannot be written: a result is worth more than its summary."""
    path = Path(os.environ[VARIABLE])
    try:
        size = path.stat().st_size if path.exists() else 0
        if size + len(text.encode()) > _MOST:
            return f"{VARIABLE}: {path} would become longer than the 1 MiB that GitHub shows; nothing is added"
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")
    except OSError as error:
        return f"{VARIABLE}: {path} cannot be written: {error.strerror or error}"
    return ""


def run_text(name: str, folder: Path, summary: Mapping[str, Any]) -> str:
    """A run: its answer, and its numbers as a table."""
    rows = [
        ("status", summary.get("status")),
        ("suggested LR", summary.get("suggested_lr")),
        ("interval", interval_text(summary.get("interval"))),
        *((f"final {key}", value) for key, value in (summary.get("final") or {}).items() if key != "step"),
        ("updates", summary.get("steps")),
        ("seconds", summary.get("seconds")),
        ("folder", str(folder)),
    ]
    lines = [f"| {markdown(key)} | {markdown(_cell(value))} |" for key, value in rows if value not in (None, "")]
    head = f"### lrtool {summary.get('command')}: {markdown(name)}"
    return "\n".join([head, "", f"**{markdown(answer(summary))}**", "", "| | |", "| --- | --- |", *lines, ""])


def comparison_text(result: ComparisonResult) -> str:
    """A comparison: its table and its verdict."""
    return f"### lrtool compare: {len(result.variants)} variants\n\n{to_markdown(result)}"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return number(value)
    return f"{value:,}" if isinstance(value, int) else str(value)
