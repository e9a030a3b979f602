"""`lrtool compare`: which variant is better, by how much, and whether the seeds can tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrtool.cli.common import JsonOption, QuietOption, add_comparison, print_json, say

#: What `--format` takes.
_FORMATS = ("markdown", "latex", "csv", "json")

if TYPE_CHECKING:
    from lrtool.comparison.result import ComparisonResult


def command(
    runs: Annotated[list[str], typer.Argument(metavar="RUN…", help="Run folders, sweeps, or globs of them.")],
    metric: Annotated[str | None, typer.Option(help="What to compare by; unsaid: val_loss, else train_loss.")] = None,
    direction: Annotated[
        str | None, typer.Option(metavar="higher|lower", help="Which values are better, for a metric of your own.")
    ] = None,
    statistic: Annotated[
        str, typer.Option(metavar="mean|median", help="What of the seeds; medians where some are outliers or skewed.")
    ] = "mean",
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="What makes a variant, e.g. schedule.kind; unsaid: what differs; repeatable."),
    ] = None,
    target: Annotated[
        float | None, typer.Option(metavar="LOSS", help="Count the steps and the time to this loss.")
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(metavar="'A better than B'", help="Exit with 6 unless this is shown; repeatable."),
    ] = None,
    max_regression: Annotated[
        str | None,
        typer.Option(metavar="P%", help="Exit with 6 unless all are shown to be at most so much worse."),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="NAME", help="The variant that --max-regression is from; unsaid: the first.")
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the table to a file.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Draw the plots into this folder.")
    ] = None,
    written: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="|".join(_FORMATS), help="Print only the table, for papers and pull requests."
        ),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare trained runs: means, intervals, paired differences on the same seeds, and an honest verdict.

    Seeds that a variant shares with the best share initial weights and batches; differences are over those. Intervals
    are 95% and each for itself. P(better) is a paired bootstrap. p is corrected (Holm) for every pair of variants, and
    decides what is told apart, also for --require: at most 5%. The interval of a mean accuracy (or f1, auc, precision,
    recall) is one on the logit scale, so it stays within 0 and 1.

    A * beside an interval says that the seeds have outliers or skew: the mean's interval may then hold less often.
    With --statistic median, ranking, table, plots and what --require and --max-regression ask for are by medians.
    Differences are then those of Hodges and Lehmann, and their interval, P(better) and p come from the signed-rank
    test. Nothing is told apart with fewer than 6 seeds.

    The target is a loss that all variants are timed to: --target, or else one that half of the variants reach with
    every seed. It is the validation loss (the training loss for --metric train_loss or where a run has no other) and
    is seen as often as it was measured. Shown are the median over seeds, seeds that never get there counted as the
    slowest, its interval (from 6 seeds on) and, in brackets, how many seeds get there.

    \b
    Columns of --csv, keys of "variants" in --json; empty or null: cannot be given
      rank, variant     1 is best; its name
      chosen, tried     settings it stands at; the best of how many
      seeds, diverged   how many seeds; how many of them diverged
      mean, low, high   of the metric, with its interval
      deviation         standard deviation over seeds
      median, median_low, median_high
                        of the metric, with its interval (from 6 seeds)
      outliers, skewed  seeds far off the others; whether seeds are skewed
      difference        from the best, in the metric's unit
      difference_low, difference_high, effect_percent
                        its interval; in percent of the best
      probability_better
                        that this variant is better than the best
      p, p_holm         as measured; corrected
      told_apart        whether the seeds tell it from the best
      seeds_needed      to tell a difference like this 4 times in 5
      steps_to_target, steps_low, steps_high
                        updates, median over seeds, and its interval
      seconds_to_target training time, median over seeds
      reached_target    seeds that get there
    """
    from lrtool.api.compare import compare
    from lrtool.comparison.requirements import requirements
    from lrtool.report.plots.comparison import draw_comparison

    form = _format(written, as_json)
    answer = compare(runs, metric, direction=direction, by=by or (), target=target, statistic=statistic)
    result, first = answer.found, answer.first
    # What a script asks for is checked first: a mistyped name shall not cost it the table.
    asked = requirements(result, require or (), max_regression, baseline or first)
    broken = [each.said for each in asked if not each.holds]
    shown = [each.said for each in asked if each.holds]
    if csv is not None:
        from lrtool.report.terminal.compare import to_csv
        from lrtool.runs.atomic import write_output

        write_output(csv, to_csv(result))
    plots = draw_comparison(result, output) if output is not None else []
    add_comparison(result)
    if form == "json":
        print_json({**result.document(), "unmet": broken, "shown": shown, "plots": [str(path) for path in plots]})
    elif form:
        _print_table(result, form)
    else:
        show(result, shown, plots, quiet)
    if broken:
        from lrtool.errors import UnmetError

        raise UnmetError("; ".join(broken))


def _format(written: str | None, as_json: bool) -> str | None:
    """The format to print in; None for the table for people. UsageError where it is none or two."""
    from lrtool.errors import UsageError

    if written is not None and written not in _FORMATS:
        raise UsageError(f"expected one of {', '.join(_FORMATS)}, but got {written!r}", where="--format")
    if as_json and written not in (None, "json"):
        raise UsageError(f"--json and --format {written} are two formats", remedy="leave one out")
    return "json" if as_json else written


def _print_table(result: ComparisonResult, form: str) -> None:
    """The table alone, as it is pasted elsewhere."""
    from lrtool.report.exports.comparison import to_latex, to_markdown
    from lrtool.report.terminal.compare import to_csv

    writers = {"markdown": to_markdown, "latex": to_latex, "csv": to_csv}
    typer.echo(writers[form](result), nl=False)


def show(result: ComparisonResult, shown: Sequence[str] = (), plots: Sequence[Path] = (), quiet: bool = False) -> None:
    """Print a comparison for people: the table, the verdict, what was required and shown, what else there is to know.

    With `quiet` the verdict and what was shown.
    """
    from lrtool.comparison.verdict import verdict
    from lrtool.report.terminal.compare import MOST_SHOWN, look_text, table_text, tolerance_text

    lines = []
    if not quiet:
        lines.append(table_text(result, _width()))
        hidden = len(result.variants) - MOST_SHOWN
        lines += [f"… and {hidden} more (--csv FILE writes all)"] if hidden > 0 else []
        lines += [*filter(None, [look_text(result)]), ""]
    lines += [verdict(result.comparison), *(f"shown: {each}" for each in shown)]
    if not quiet:
        lines += [tolerance_text(said) for said in result.tolerances()[:MOST_SHOWN]]
        lines += [f"note: {note}" for note in result.notes]
        drawn = [str(path) for path in plots if path.suffix == ".png"]
        lines += [f"plots: {', '.join(drawn)}"] if drawn else []
    say("\n".join(lines))


def _width() -> int | None:
    """Columns of the terminal, or of COLUMNS; a pipe has no width: nothing shall be left out there."""
    import os
    import shutil
    import sys

    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal():
        return shutil.get_terminal_size().columns
    return None
