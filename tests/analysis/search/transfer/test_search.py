"""The search behind a transfer: which LRs it asks for, and that it keeps to what it may spend."""

import numpy as np
import pytest

from lrtool.analysis.search.transfer.design import LRS, plan
from lrtool.analysis.search.transfer.search import TransferSearch
from lrtool.analysis.search.transfer.usual import DURATION, usual

UPDATES = 4000
EXPECTED = usual((DURATION,))


def cost(values):
    return values[DURATION] / UPDATES


def best(steps):
    return 0.05 * (steps / 100) ** -0.3


def searched(centre, runs=0.5, limit=None):
    """The search after all is trained, and what that cost; LRs above 6 times the best one diverge."""
    design = plan({}, UPDATES, runs, cost, {DURATION: float(UPDATES)}, EXPECTED)
    search, spent = TransferSearch(design, centre, EXPECTED), [0.0]

    def affords(ahead):
        return sum(spent) + sum(trials * cell[0] / UPDATES for cell, trials in ahead) <= (limit or runs)

    for cell, lrs, seeds in search.requests(affords):
        for lr in lrs:
            u = np.log(lr / best(cell[0]))
            for seed in range(seeds):
                search.tell(cell, lr, seed, 1 + 0.05 * u**2 if u < np.log(6) else np.nan)
                spent.append(cell[0] / UPDATES)
    return search, sum(spent)


@pytest.mark.parametrize("off", [1 / 3000, 1 / 20, 1.0, 20.0, 3000.0])
def test_wherever_it_begins_every_cell_is_tried_on_both_sides_of_its_best(off):
    search, _ = searched(0.05 * off, limit=10.0)
    for cell in search.points().cells():
        assert np.exp(cell.x[0]) < best(np.exp(cell.at[0])) < np.exp(cell.x[-1])


def test_it_keeps_to_its_budget_wherever_it_begins():
    for off in (1 / 3000, 1 / 20, 1.0, 20.0):
        search, spent = searched(0.05 * off)
        assert spent <= 0.5 + 1e-9 and len(search.points().cells()) == len(search.design.cells)


def test_the_first_grid_is_wide_and_later_ones_lie_where_the_best_is_expected():
    search, _ = searched(0.05)
    wide = search.wide()
    assert wide[-1] / wide[0] == pytest.approx(256)
    last = search.design.cells[-1]
    grid = search.grid(last)
    assert len(grid) == LRS and grid[0] < best(last[0]) < grid[-1]


def told(search, lrs, losses, cell):
    for lr, loss in zip(lrs, losses, strict=True):
        search.tell(cell, lr, 0, loss)


def test_a_cell_with_too_few_losses_goes_down():
    """Where the largest LR diverged, two are left: no best one can be told of them."""
    search, _ = searched(0.05)
    cell = (777.0,)
    told(search, search.grid(cell), [1.1, 1.0, np.nan], cell)
    more = search.beyond(cell)
    assert more and max(more) < min(search.grid(cell))


def test_it_goes_on_by_as_many_lrs_as_can_be_paid_for():
    """By two at once where the budget holds them, by one where it holds one."""
    design = plan({}, UPDATES, 0.5, cost, {DURATION: float(UPDATES)}, EXPECTED)
    for affordable in (2, 1, 0):
        search, asked = TransferSearch(design, 0.05, EXPECTED), []

        def affords(ahead, most=affordable):
            cell, trials = ahead[0]
            return trials <= most * design.seeds and cell == design.cells[-1]

        for cell, lrs, seeds in search.requests(affords):
            asked.append((cell, len(lrs)))
            for lr in lrs:
                for seed in range(seeds):
                    search.tell(cell, lr, seed, lr)
        last = [count for cell, count in asked if cell == design.cells[-1]]
        assert last[0] == LRS and set(last[1:]) == ({affordable} if affordable else set())


def test_where_everything_diverges_it_goes_down():
    design = plan({}, UPDATES, 0.5, cost, {DURATION: float(UPDATES)}, EXPECTED)
    search = TransferSearch(design, 1.0, EXPECTED)
    for lr in search.wide():
        search.tell(design.cells[0], lr, 0, np.nan)
    more = search.beyond(design.cells[0])
    assert more and max(more) < min(search.wide())
