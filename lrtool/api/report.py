"""`lrtool.html_report`: one self-contained HTML file of any mix of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrtool.api.compare import folder_of

if TYPE_CHECKING:
    from lrtool.report.html.page import Page


@dataclass(frozen=True)
class ReportAnswer:
    """A report that was written: its `file`, and the `page` with all that it shows."""

    file: Path
    page: Page

    @property
    def answer(self) -> str:
        """Its headline."""
        return self.page.answers[0]

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know besides."""
        return tuple(self.page.notes)

    @property
    def bytes(self) -> int:
        """The size of the file."""
        return self.file.stat().st_size

    def document(self) -> dict[str, Any]:
        """What is in it, as `lrtool report --json` prints it."""
        page = self.page
        return {
            "command": "report",
            "file": str(self.file),
            "bytes": self.bytes,
            "runs": [str(run.path) for run in page.runs],
            "trials": len(page.trials),
            "answers": list(page.answers),
            "notes": list(page.notes),
        }

    def open(self) -> bool:
        """Show it in the browser; whether one could be started."""
        import webbrowser

        return webbrowser.open(self.file.resolve().as_uri())


def html_report(runs: Sequence[Any], output: str | Path = "report.html") -> ReportAnswer:
    """Write one HTML file that shows range tests, tunes, trainings and sweeps, and works offline.

    runs: run folders (also globs, 'outputs/digits/*'), or results, saved or not.
    output: the file, which is replaced; in a folder that is there, report.html.

    Raises UsageError where there is nothing to show, OutputError where the file cannot be written.

    >>> import pathlib, tempfile, torch, lrtool
    >>> x = torch.randn(200, 8)
    >>> done = lrtool.train(torch.nn.Linear(8, 1), (x, x[:, :1]), optimizer="sgd", duration=40, progress=False)
    >>> report = lrtool.html_report([done], tempfile.mkdtemp())
    >>> report.file.name, report.file.read_text().startswith("<!doctype html>")
    ('report.html', True)
    """
    from lrtool.report.html.page import Page
    from lrtool.report.html.render import render
    from lrtool.runs.atomic import write_output

    target = Path(output)
    target = target / "report.html" if target.is_dir() else target
    given = [runs] if isinstance(runs, str | Path) else runs
    page = Page.of([folder_of(each) for each in given])
    write_output(target, render(page))
    return ReportAnswer(target, page)
