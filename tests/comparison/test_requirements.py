"""`compare --require`: the same corrected p as the table and the verdict."""

import numpy as np
import pytest

from lrtool.analysis.statistics.comparison import compare
from lrtool.comparison.outcomes import Outcome
from lrtool.comparison.requirements import requirements
from lrtool.comparison.result import ComparisonResult
from lrtool.comparison.variants import Variant
from lrtool.comparison.verdict import verdict


def compared(tables, higher=False):
    result = compare({name: dict(enumerate(values)) for name, values in tables.items()}, higher)
    made = {
        name: Variant(name, {s: Outcome(name, s, not np.isfinite(v), {"val_loss": v}, {}, 1.0, {}) for s, v in
                             enumerate(values)})
        for name, values in tables.items()
    }  # fmt: skip
    return ComparisonResult("val_loss", result, tuple(made[each.name] for each in result.standings), None)


def some(count, seed, seeds=6):
    """So many variants whose differences are about as large as their noise."""
    rng = np.random.default_rng(seed)
    return {f"v{number}": list(rng.normal(1 + 0.3 * number / count, 0.2, seeds)) for number in range(count)}


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("count", [2, 3, 6])
def test_what_is_required_holds_where_the_verdict_says_so_and_nowhere_else(count, seed):
    result = compared(some(count, seed))
    best = result.comparison.best.name
    for standing in result.comparison.standings[1:]:
        better, worse = requirements(
            result, [f"{best} better than {standing.name}", f"{standing.name} better than {best}"], None, best
        )
        assert better.holds == standing.to_best.significant and not worse.holds
        assert ("is better than" in better.said) == better.holds == ("is worse than" in worse.said)
        assert f"(p {standing.to_best.corrected:.2g}" in better.said
    alike = [each for each in result.comparison.standings[1:] if not each.to_best.significant]
    assert ("cannot tell" in verdict(result.comparison)) == bool(alike)


def test_of_two_behind_the_best_the_correction_is_never_too_small():
    tables = some(5, 3)
    result = compared(tables)
    names = [each.name for each in result.comparison.standings[1:3]]
    (asked,) = requirements(result, [f"{names[0]} better than {names[1]}"], None, names[0])
    (alone,) = requirements(compared({name: tables[name] for name in names}),
                            [f"{names[0]} better than {names[1]}"], None, names[0])  # fmt: skip
    p, q = (float(each.said.rpartition("(p ")[2].split(",")[0].rstrip(")")) for each in (asked, alone))
    assert p == pytest.approx(min(1.0, 10 * q), rel=0.06) and "corrected for 10 pairs" in asked.said


def test_what_is_shown_is_said_with_its_numbers():
    result = compared({"a": [1.0, 1.1, 0.9, 1.0], "b": [1.3, 1.5, 1.2, 1.3]})
    (shown,) = requirements(result, ["a better than b"], None, "a")
    assert shown.holds and shown.said.startswith("a is better than b: difference -25%, 95% interval [")
    (within,) = requirements(result, [], "50%", "a")
    assert within.holds and within.said.startswith("b against a: a regression of more than 50% is ruled out: differ")


def test_a_variant_that_finishes_every_seed_is_better_than_one_that_does_not():
    result = compared({"a": [1.0, 1.1, 0.9], "b": [0.5, float("nan"), 0.4]})
    better, worse = requirements(result, ["a better than b", "b better than a"], None, "a")
    assert better.holds and "b diverged in 1 of 3 seeds" in better.said and not worse.holds
