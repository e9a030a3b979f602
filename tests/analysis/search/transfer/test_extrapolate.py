"""What points say of a target: laws that are known are found, and where there is none it is said."""

import numpy as np
import pytest

from lrtool.analysis.search.transfer.extrapolate import extrapolate
from lrtool.analysis.search.transfer.optima import find_optima
from lrtool.analysis.search.transfer.points import Points
from tests.analysis.search.transfer.support import LRS, points

BATCHES = (16, 32, 64, 128)


def root(batch):
    return 0.01 * batch**0.5


def flat_beyond(batch):
    return 0.004 * min(batch, 128) ** 0.8


def two(width, batch):
    return 0.2 * batch**0.4 / width


def test_a_power_law_is_found_and_extrapolated():
    found = extrapolate(points(root, {"batch": BATCHES}), {"batch": 1024})
    assert found.beyond == ("batch",) and found.reason == ""
    value, half = found.law.exponent(0)
    assert value - half < 0.5 < value + half and abs(value - 0.5) < 0.06
    assert found.interval[0] < root(1024) < found.interval[1] and found.interval[1] / found.interval[0] < 5
    assert found.alike[0] < found.interval[0] and found.alike[1] > found.interval[1]
    assert found.reach["batch"] > 1024 and found.tests[0].passed


def test_the_interval_holds_the_truth_as_often_as_it_says():
    held = [
        found.interval[0] < root(512) < found.interval[1]
        for seed in range(25)
        if (found := extrapolate(points(root, {"batch": BATCHES}, noise=0.005, rng=seed), {"batch": 512})).lr
    ]
    assert len(held) >= 20 and np.mean(held) >= 0.9


def test_a_law_of_two_keys_has_both_exponents():
    found = extrapolate(points(two, {"width": (64, 128, 256), "batch": BATCHES}), {"width": 1024, "batch": 512})
    assert found.law.exponent(0)[0] == pytest.approx(-1, abs=0.1)
    assert found.law.exponent(1)[0] == pytest.approx(0.4, abs=0.1)
    assert found.interval[0] < two(1024, 512) < found.interval[1] and len(found.tests) == 2


def test_a_law_that_turns_flat_is_seen_where_the_points_show_it():
    found = extrapolate(points(flat_beyond, {"batch": tuple(2**k for k in range(2, 12))}), {"batch": 8192})
    assert found.law.law.flat_in == 0 and 60 < found.law.law.bend(np.log([8192.0])) < 260
    assert found.lr == pytest.approx(flat_beyond(8192), rel=0.2)


def test_inside_the_range_it_is_interpolated_and_two_values_are_enough():
    found = extrapolate(points(root, {"batch": (16, 256)}), {"batch": 64})
    assert found.beyond == () and found.lr == pytest.approx(root(64), rel=0.2) and found.tests == ()


def test_a_key_that_stands_still_may_be_named_with_its_value():
    found = extrapolate(points(lambda batch, depth: root(batch), {"batch": BATCHES, "depth": (4,)}),
                        {"batch": 512, "depth": 4})  # fmt: skip
    assert found.lr is not None and found.keys == ("batch",)


def bent(batch):
    return 0.1 * np.exp(-0.25 * np.log(batch / 45) ** 2)


@pytest.mark.parametrize(
    ("made", "target", "words"),
    [
        (lambda: points(root, {"batch": (16, 32)}), {"batch": 512}, "2 values"),
        (lambda: points(lambda batch, depth: root(batch), {"batch": BATCHES, "depth": (4,)}),
         {"batch": 64, "depth": 8}, "depth does not move"),
        (lambda: points(lambda batch, width: root(batch), {"batch": BATCHES, "width": BATCHES},
                        cells=[(b, 2 * b) for b in BATCHES]), {"batch": 512, "width": 1024}, "move together"),
        (lambda: points(root, {"batch": BATCHES}, curvature=0.0), {"batch": 512}, "no more than noise"),
        (lambda: points(lambda batch: 1e-9, {"batch": BATCHES}), {"batch": 512}, "diverged"),
        (lambda: points(root, {"batch": BATCHES}, lrs=(0.2, 0.24, 0.28, 0.32)), {"batch": 512}, "edge"),
        (lambda: points(root, {"batch": BATCHES}, lrs=(0.05, 0.1)), {"batch": 512}, "three LRs"),
        (lambda: points(bent, {"batch": tuple(4**k for k in range(1, 7))}), {"batch": 4**9}, "batch"),
        (lambda: points(root, {"batch": BATCHES}), {"batch": 1e30}, "as far as one may go"),
    ],
)  # fmt: skip
def test_where_nothing_follows_it_is_refused(made, target, words):
    found = extrapolate(made(), target)
    assert found.lr is None and found.interval is None and words in found.reason


USUAL = {"batch": (0.5, 0.2)}


def test_a_key_of_few_values_moves_the_lr_as_is_usual_and_the_interval_is_as_wide():
    """One value says nothing of the exponent, two little: what is known beforehand stands in, and it is said."""
    one, two, four = (extrapolate(points(root, {"batch": values}), {"batch": 512.0}, USUAL)
                      for values in ((128,), (64, 128), BATCHES))  # fmt: skip
    assert one.assumed == two.assumed == ("batch",) and four.assumed == ()
    assert one.lr is not None and one.interval[0] < root(512) < one.interval[1] and one.tests == ()
    widths = [np.log(each.interval[1] / each.interval[0]) for each in (one, two, four)]
    assert widths[0] > 0.9 * widths[1] > widths[2] and widths[0] > 2 * 1.96 * 0.2 * np.log(4)
    assert two.tests[0].key == "batch" and one.law.exponent(0)[0] == pytest.approx(0.5)


def test_of_points_alone_nothing_is_assumed():
    for values in ((128,), (64, 128)):
        found = extrapolate(points(root, {"batch": values}), {"batch": 512.0})
        assert found.lr is None and found.assumed == () and "measure" in found.reason


def test_an_interval_that_rests_on_what_is_usual_may_be_too_wide():
    found = extrapolate(points(root, {"batch": (128,)}, curvature=0.3), {"batch": 128.0 * 64}, {"batch": (0.5, 0.5)})
    assert found.lr is None and "too few values" in found.reason and "a larger budget" in found.reason


def test_a_wide_interval_that_costs_little_is_an_answer():
    """What counts is the loss: nobody needs to know the LR where it hardly matters."""
    flat, steep = (extrapolate(points(root, {"batch": (128,)}, curvature=each, noise=1e-4), {"batch": 128.0 * 64},
                               {"batch": (0.5, 0.5)}) for each in (0.004, 0.3))  # fmt: skip
    assert flat.lr is not None and flat.interval[1] / flat.interval[0] > 9 and flat.risk < 0.1
    assert flat.guess is None and steep.lr is None


def test_where_an_interval_is_too_wide_the_best_guess_is_said():
    found = extrapolate(points(root, {"batch": (128,)}, curvature=0.3), {"batch": 128.0 * 64}, {"batch": (0.5, 0.5)})
    assert found.guess.interval[0] < found.guess.lr < found.guess.interval[1] and found.guess.risk > 0.1
    assert found.guess.interval[0] < root(128 * 64) < found.guess.interval[1]
    refused = extrapolate(points(root, {"batch": (16, 32)}), {"batch": 512})
    assert refused.guess is None and refused.enough is None


def test_runs_of_few_updates_are_trusted_less():
    """Whether 25 updates have their best LR where the law of longer ones has it, or somewhere else, moves little."""

    def best(updates, off):
        return 0.1 * (updates / 100) ** -0.3 * (off if updates < 50 else 1)

    values, known = (25.0, 200.0, 800.0), {"train.duration": (-0.25, 0.25)}

    def found(off, keys, expected):
        made = points(lambda **at: best(*at.values(), off), {keys: values})
        return extrapolate(made, {keys: 6400.0}, expected)

    moved = {
        key: abs(
            np.log(found(3.0, key, expected).law.law.exponents[0] / found(1.0, key, expected).law.law.exponents[0])
        )
        for key, expected in (("train.duration", known), ("batch", {"batch": known["train.duration"]}))
    }
    assert moved["train.duration"] < 0.7 * moved["batch"]


def test_a_key_whose_values_have_no_best_lr_counts_as_measured_less_often():
    """At 64 every LR but two diverged."""
    made = points(root, {"batch": (64, 128)})
    lost = (made.values[:, 0] == 64) & (np.arange(len(made.lr)) % len(LRS) > 1)
    found = extrapolate(Points(made.keys, made.values, made.lr, np.where(lost, np.nan, made.loss)), {"batch": 512.0},
                        USUAL)  # fmt: skip
    assert found.assumed == ("batch",) and len(found.cells) == 1 and found.lr is not None


def test_the_lr_is_the_one_of_least_expected_loss():
    """Where large LRs cost more it lies below the middle of the interval, the more so the wider that is."""
    found = extrapolate(points(root, {"batch": (128,)}, skew=0.8), {"batch": 512.0}, USUAL)
    assert found.interval[0] < found.lr < np.sqrt(found.interval[0] * found.interval[1])
    assert found.risk > 0


def test_a_law_that_breaks_at_the_largest_scale_fails_its_test():
    found = extrapolate(points(lambda batch: root(batch) if batch < 128 else root(batch) / 12, {"batch": BATCHES}),
                        {"batch": 1024})  # fmt: skip
    assert found.lr is None and ("fails its test" in found.reason or "curvature" in found.reason)
    assert "no further than what was measured" in found.reason


def test_seeds_that_disagree_are_named():
    rng = np.random.default_rng(0)
    rows = [(batch, lr, 1 + 0.02 * np.log(lr / best) ** 2)
            for batch in BATCHES for best in (0.0005, 0.5) for lr in LRS]  # fmt: skip
    batch, lr, loss = np.array(rows).T
    found = extrapolate(Points(("batch",), batch[:, None], lr, loss + 1e-4 * rng.normal(size=len(loss))),
                        {"batch": 1024})  # fmt: skip
    assert found.lr is None and "seeds disagree" in found.reason


def test_losses_below_zero_are_compared_too():
    made = points(root, {"batch": BATCHES})
    below = Points(made.keys, made.values, made.lr, made.loss - 2)
    found = extrapolate(below, {"batch": 512})
    assert found.interval[0] < root(512) < found.interval[1] and found.loss is None


def test_the_order_of_the_rows_makes_no_difference():
    made = points(two, {"width": (64, 128, 256), "batch": BATCHES})
    order = np.random.default_rng(1).permutation(len(made.lr))
    mixed = Points(made.keys, made.values[order], made.lr[order], made.loss[order])
    target = {"width": 1024, "batch": 512}
    assert extrapolate(mixed, target).lr == pytest.approx(extrapolate(made, target).lr, rel=1e-9)


def test_a_spike_moves_no_best_lr():
    """Single losses far off, as of unlucky seeds, move neither their own cell's best LR nor the common shape."""
    rng = np.random.default_rng(3)
    clean = points(root, {"batch": BATCHES})
    loss = clean.loss.copy()
    hit = rng.random(len(loss)) < 0.08
    loss[hit] *= 1 + rng.choice([-0.02, 0.02], hit.sum())
    spiked = Points(clean.keys, clean.values, clean.lr, loss)
    before, after = (find_optima(each.cells()) for each in (clean, spiked))
    assert hit.sum() >= 2
    np.testing.assert_allclose(after.x, before.x, atol=0.35)


def test_cells_with_very_different_losses_are_each_read_by_themselves():
    """Short runs end far above long ones; their best LR must not drown in that."""
    clean = points(root, {"batch": BATCHES})
    scaled = Points(clean.keys, clean.values, clean.lr, clean.loss * (clean.values[:, 0] / 16) ** -2)
    before, after = (find_optima(each.cells()) for each in (clean, scaled))
    np.testing.assert_allclose(after.x, before.x, atol=0.05)


def test_best_lrs_that_follow_no_power_law_are_refused():
    found = extrapolate(
        points(lambda batch: 0.01 * np.exp(0.4 * np.log(batch / 64) ** 2), {"batch": (*BATCHES, 256)}),
        {"batch": 1024.0},
    )
    assert found.lr is None and found.reason


def test_overfitting_that_was_not_seen_widens_the_interval():
    measured = points(root, {"batch": BATCHES})
    seen, unseen = (extrapolate(measured, {"batch": 512.0}, passes=passes) for passes in ((2.0, 2.0), (2.0, 4.0)))
    assert unseen.lr == pytest.approx(seen.lr, rel=0.02)
    assert seen.interval and unseen.interval and unseen.interval[1] > seen.interval[1] * 1.01
