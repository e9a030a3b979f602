"""What a range test found, in lines of text."""

from __future__ import annotations

from lrtool.analysis.range_test_result import LrEstimate, RangeTestResult
from lrtool.report.plots.marks import between
from lrtool.report.plots.style import number


def found_lines(result: RangeTestResult) -> list[str]:
    """The LRs that were found, a line each, or why there is no suggestion."""
    lines = [
        _line("loss starts to fall at", result.lower),
        _line("loss starts to explode at", result.upper),
        _line("does not blow up until about", result.stability),
        _line("one update raises the loss at", result.critical),
        _line("suggested peak LR", result.suggestion),
    ]
    if result.suggestion is None:
        lines.append(f"  no suggestion: {result.reason.value if result.reason else 'the loss supports none'}")
    return [line for line in lines if line]


def _line(label: str, estimate: LrEstimate | None) -> str:
    if estimate is None:
        return ""
    return f"  {label:29} {number(estimate.value):>8}   ({between((estimate.low, estimate.high))})"
