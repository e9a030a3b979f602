"""What a comparison says, in a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lrtool.analysis.statistics.comparison import Comparison, Difference
from lrtool.analysis.statistics.student import MOST_SEEDS

if TYPE_CHECKING:
    pass


def verdict(comparison: Comparison) -> str:
    """What the seeds say, in a sentence: which is best, or which cannot be told apart and what it would take."""
    best, rest = comparison.best, comparison.standings[1:]
    seeds = _seeds(best.estimate.count)
    if not best.estimate.count:
        return "every seed of every variant diverged"
    if not rest:
        return f"{best.name} is the only variant; there is nothing to compare it with"
    alike = [each.to_best for each in rest if each.to_best and not each.to_best.significant and not each.diverged]
    if not alike:
        return _first(comparison, seeds)
    worse = [each.name for each in rest if each.to_best and each.to_best.significant]
    told = f"; {_listed(worse)} {'is' if len(worse) == 1 else 'are'} worse" if worse else ""
    if len(alike) == 1:
        return f"cannot tell {best.name} and {alike[0].name} apart: {missing(alike[0])}{told}"
    hardest = max((pair.needed or 0 for pair in alike), default=0)
    more = f"; {_needed(hardest)} would be needed for all of them" if hardest else ""
    return f"cannot tell {best.name} apart from {_listed([pair.name for pair in alike])} with {seeds}{more}{told}"


def _first(comparison: Comparison, seeds: str) -> str:
    """That the best is best; a variant that diverged ranks behind it, which is no finding of a test."""
    name, rest = comparison.best.name, comparison.standings[1:]
    diverged = [each.name for each in rest if each.diverged]
    if not diverged:
        return f"{name} is best, told apart from all others with {seeds}"
    behind = f"{_listed(diverged)} diverged in some seeds and cannot be compared"
    if len(diverged) == len(rest):
        return f"{name} ranks first with {seeds}, untested: {behind}"
    return f"{name} is best, told apart with {seeds} from all others that can be compared; {behind}"


def _listed(names: Sequence[str]) -> str:
    """At most four names; in quotes where a name has a comma itself.

    >>> _listed(["a", "b"]), _listed(["wsd, lr=1", "b"]), _listed(list("abcdef"))
    ('a, b', "'wsd, lr=1', b", 'a, b, c, d and 2 more')
    """
    names = [repr(name) if ", " in name else name for name in names]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def missing(pair: Difference) -> str:
    """Why two variants cannot be told apart, and how many seeds would do."""
    count = pair.estimate.count
    if not count:
        return "they share no seed, so no difference can be paired; train both with the same seeds, at least 5"
    if count < 2:
        return "they share 1 seed, which says nothing about the noise; train at least 5 seeds of each"
    if pair.estimate.mean == 0 and pair.estimate.deviation == 0:
        return f"all {count} seeds give both the same value"
    if pair.needed is None or pair.p is None:
        return f"{_seeds(count)} are too few; train more"
    return f"{_seeds(count)} are too few for a difference this small; {_needed(pair.needed)} would be needed"


def _seeds(count: int) -> str:
    return f"{count} seed{'' if count == 1 else 's'}"


def _needed(count: float) -> str:
    return f"more than {MOST_SEEDS:,} seeds" if math.isinf(count) else f"about {count:,.0f} seeds"
