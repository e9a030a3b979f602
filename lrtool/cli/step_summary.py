"""What commands add to the summary of a GitHub job, where they run in one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrtool.cli.common import say

if TYPE_CHECKING:
    from lrtool.comparison.result import ComparisonResult


def add_run(name: str, folder: Path, summary: Mapping[str, Any]) -> None:
    """Add a run, where GITHUB_STEP_SUMMARY names a file; a file that cannot be written is only said."""
    if os.environ.get("GITHUB_STEP_SUMMARY"):
        from lrtool.report.exports.step_summary import run_text

        _append(run_text(name, folder, summary))


def add_comparison(result: ComparisonResult) -> None:
    """Add a comparison in the same way."""
    if os.environ.get("GITHUB_STEP_SUMMARY"):
        from lrtool.report.exports.step_summary import comparison_text

        _append(comparison_text(result))


def _append(text: str) -> None:
    from lrtool.report.exports.step_summary import append

    if problem := append(text):
        say(f"note: {problem}", err=True)
