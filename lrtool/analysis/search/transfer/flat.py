"""Whether the losses of all cells together depend on the LR no more than noise does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lrtool.analysis.search.transfer.points import Cell

#: Losses that do not depend on the LR pass for others about this often; losses that differ by less are alike.
_RARE, _ROUNDING = 0.05, 1e-6


def is_flat(cells: Sequence[Cell], shaped: float) -> bool:
    """Whether no F test over all cells at once sees the LR in their losses.

    `shaped`: how likely noise makes the common shape explain so much of the losses near their minimum, of which there
    may be few. Parabolas through the ranks of all losses of a cell are rough, but cannot be misled by their size. Where
    there are several seeds, they show the noise.
    """
    known = [cell.y[cell.known] for cell in cells]
    highest = max(1.0, max(float(np.abs(y).max()) for y in known))
    if max(float(np.ptp(y)) for y in known) <= _ROUNDING * highest:
        return True
    return min(shaped, _chance_of_ranks(cells), _chance_of_seeds(cells)) > _RARE


def _chance_of_ranks(cells: Sequence[Cell]) -> float:
    total = rest = 0.0
    terms = spare = 0
    for cell in cells:
        x, y = cell.x[cell.known], cell.y[cell.known]
        ranks = np.argsort(np.argsort(y, kind="stable"), kind="stable").astype(np.float64)
        if len(x) < 4:
            continue
        total += float(np.square(ranks - ranks.mean()).sum())
        rest += float(np.square(ranks - np.polyval(np.polyfit(x, ranks, 2), x)).sum())
        terms, spare = terms + 2, spare + len(x) - 3
    return chance(total, rest, terms, spare)


def _chance_of_seeds(cells: Sequence[Cell]) -> float:
    """How likely seeds alone make the means of LRs differ so much; 1 without several seeds."""
    between = within = 0.0
    terms = spare = 0
    for cell in cells:
        if not np.isfinite(cell.spread):
            continue
        y, seeds = cell.y[cell.known], cell.seeds[cell.known]
        between += float(seeds @ np.square(y - seeds @ y / seeds.sum()))
        own = int((seeds - 1).sum())
        within += own * cell.spread
        terms, spare = terms + len(y) - 1, spare + own
    return chance(between + within, within, terms, spare)


def chance(total: float, rest: float, terms: int, spare: int) -> float:
    """How likely so many terms leave so little of the squares by chance; 1 where nothing can be judged."""
    from scipy import special

    if spare < 1 or terms < 1:
        return 1.0
    return float(special.fdtrc(terms, spare, max(0.0, total - rest) / terms / max(rest / spare, 1e-300)))
