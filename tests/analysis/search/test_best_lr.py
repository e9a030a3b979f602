import math

import numpy as np
import pytest

from lrtool.analysis.lr_fit import NoAnswer
from lrtool.analysis.search.best_lr import LEAST_LRS, MAX_SEEDS, Rung, Search, plan

BEST = 0.03


def loss(lr, seed=0):
    d = np.log(lr / BEST)
    noise = 0.01 * np.random.default_rng([seed, int(1e6 * lr)]).standard_normal()
    return float(np.exp(0.05 * d**2 + (2 * (d - 2) ** 2 if d > 2 else 0) + noise))


def run_rung(search, rung, respond):
    wanted = search.grid(rung)
    while wanted:
        for lr in wanted:
            for seed in range(rung.seeds):
                search.tell(lr, seed, respond(lr, seed))
        wanted = search.beyond(rung)
    return search.narrow()


@pytest.mark.parametrize("runs", [1, 1.5, 3, 8, 12, 24, 60, 1000])
def test_a_plan_costs_no_more_than_it_may_and_tells_lrs_apart(runs):
    rungs = plan(runs)
    assert rungs
    assert sum(rung.fraction * rung.lrs * rung.seeds for rung in rungs) <= runs
    assert all(rung.lrs >= LEAST_LRS and 1 <= rung.seeds <= MAX_SEEDS for rung in rungs)
    assert [rung.fraction for rung in rungs] == sorted(rung.fraction for rung in rungs)


def test_a_large_budget_trains_at_full_length_and_a_tiny_one_holds_no_plan():
    assert plan(24)[-1].fraction == 1
    assert plan(0.5) == []


@pytest.mark.parametrize("centre", [BEST, BEST / 30, BEST * 30])
def test_the_search_finds_the_best_lr_from_far_off(centre):
    search = Search(centre)
    for rung in plan(30):
        response = run_rung(search, rung, loss)
    assert response.edge is None
    assert BEST / 1.6 < response.lr < BEST * 1.6


def test_the_grid_moves_beyond_its_ends_instead_of_clipping():
    search, rung = Search(BEST * 1000), Rung(1.0, 5, 1, 2.0)
    response = run_rung(search, rung, lambda lr, seed: loss(lr, seed) if lr < 5 else float("nan"))
    assert response.lr is None or response.lr < 5
    lrs, _ = search.table()
    assert lrs[0] < BEST * 1000 / 2**4


def test_when_everything_diverges_the_search_looks_lower_and_then_says_so():
    search, rung = Search(1.0), Rung(1.0, 5, 2, 2.0)
    response = run_rung(search, rung, lambda lr, seed: float("nan"))
    assert response.lr is None and response.reason is NoAnswer.ALL_DIVERGED
    assert search.table()[0][0] < 1e-3


def test_a_trial_that_diverges_alone_does_not_hide_the_others():
    search, rung = Search(BEST), Rung(1.0, 7, 4, 1.5)
    response = run_rung(search, rung, lambda lr, seed: float("nan") if seed == 3 and lr > BEST else loss(lr, seed))
    assert response.lr is not None and response.lr < BEST * 1.6


def test_where_short_trainings_have_learned_nothing_the_search_stays_wide():
    def plateau(lr, seed, fraction):
        dead = 2.3 + 0.002 * np.random.default_rng([seed, int(1e6 * lr)]).standard_normal() + (lr > 1)
        return loss(lr, seed) if fraction == 1 and BEST / 2 < lr < 2 * BEST else dead

    search = Search(BEST / 5)
    for rung in plan(60):
        response = run_rung(search, rung, lambda lr, seed, part=rung.fraction: plateau(lr, seed, part))
    assert BEST / 2 < response.lr < 2 * BEST


def test_a_seed_that_diverges_at_every_lr_does_not_move_the_grid():
    search, rung = Search(BEST), Rung(1.0, 7, 4, 1.5)
    asked = search.grid(rung)
    for lr in asked:
        for seed in range(4):
            search.tell(lr, seed, float("nan") if seed == 2 else loss(lr, seed))
    assert search.beyond(rung) == []
    assert len(search.between()) == 4 and min(search.between()) > asked[0]
    assert BEST / 1.6 < search.narrow().lr < BEST * 1.6


def test_the_first_grid_stays_below_what_bounds_the_best_lr():
    rung = Rung(1 / 8, 9, 2, 2.0)
    whole, bounded = Search(0.1).grid(rung), Search(0.1, most=0.3).grid(rung)
    assert bounded == [lr for lr in whole if lr <= 0.3] and len(bounded) == 6
    # Of fewer than three LRs nothing can be told.
    assert Search(0.1, most=1e-6).grid(rung) == whole[:3]


def test_a_bound_that_does_not_hold_costs_a_few_trials_and_no_answer():
    for most in (0.02, 0.3, None):
        assert abs(math.log2(found_by(Search(0.1, most)) / 0.5)) < 0.5, most


def test_a_foretold_lr_takes_fewer_trials_and_may_be_wrong():
    for foretold in (0.5, 0.1, 0.01, 5.0):
        search = Search(3.0)
        search.expect(foretold)
        assert len(search.grid(Rung(1 / 8, 9, 2, 2.0))) == 5
        assert abs(math.log2(found_by(search) / 0.5)) < 0.5, foretold


def found_by(search):
    """The best LR that a search arrives at, of a bowl around 0.5."""
    response = None
    for rung in (Rung(1 / 8, 9, 2, 2.0), Rung(1.0, 7, 4, 1.5)):
        wanted = search.grid(rung)
        while wanted:
            for lr in wanted:
                for seed in range(rung.seeds):
                    noise = 0.01 * math.sin(100 * lr + 7 * seed)
                    search.tell(lr, seed, 1 + 0.3 * math.log(lr / 0.5) ** 2 + noise)
            wanted = search.beyond(rung)
        response = search.narrow()
    return response.lr
