"""`lrtool compare`: which variant is better, by how much, and whether the seeds can tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrtool.cli.common import JsonOption, print_json, say

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
    as_json: JsonOption = False,
) -> None:
    """Compare trained runs: means, intervals, paired differences on the same seeds, and an honest verdict.

    Seeds that a variant shares with the best share initial weights and batches; differences are over those. Intervals
    are 95% and each for itself. P(better) is a paired bootstrap. p is corrected (Holm) for every pair of variants, and
    decides what is told apart: at most 5%. The interval of a mean accuracy (or f1, auc, precision, recall) is one on
    the logit scale, so it stays within 0 and 1.

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
    from lrtool.comparison.requirements import unmet
    from lrtool.report.plots.comparison import draw_comparison

    answer = compare(runs, metric, direction=direction, by=by or (), target=target, statistic=statistic)
    result, first = answer.found, answer.first
    # What a script asks for is checked first: a mistyped name shall not cost it the table.
    broken = unmet(result, require or (), max_regression, baseline or first)
    if csv is not None:
        from lrtool.report.terminal.compare import to_csv
        from lrtool.runs.atomic import write_text

        write_text(csv, to_csv(result))
    plots = draw_comparison(result, output) if output is not None else []
    if as_json:
        print_json({**result.document(), "unmet": broken, "plots": [str(path) for path in plots]})
    else:
        show(result, plots)
    if broken:
        from lrtool.errors import UnmetError

        raise UnmetError("; ".join(broken))


def show(result: ComparisonResult, plots: Sequence[Path] = ()) -> None:
    """Print a comparison for people: the table, the verdict, what else there is to know."""
    import shutil
    import sys

    from rich.console import Console

    from lrtool.comparison.verdict import verdict
    from lrtool.report.terminal.compare import MOST_SHOWN, draw_table, look_text, tolerance_text

    # A pipe has no width: nothing shall be cut or folded there.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 200
    console = Console(width=width, soft_wrap=False, highlight=False, markup=False)
    console.print(draw_table(result))
    hidden = len(result.variants) - MOST_SHOWN
    if hidden > 0:
        say(f"… and {hidden} more (--csv FILE writes all)")
    if marks := look_text(result):
        say(marks)
    say(f"\n{verdict(result.comparison)}")
    for said in result.tolerances()[:MOST_SHOWN]:
        say(tolerance_text(said))
    for note in result.notes:
        say(f"note: {note}")
    if plots:
        say(f"plots: {', '.join(str(path) for path in plots if path.suffix == '.png')}")
