import numpy as np
import pytest

from lrtool.comparison.lr_response import LrResponse, lr_responses, tolerance
from lrtool.comparison.outcomes import Outcome
from lrtool.comparison.variants import variants


def outcome(seed, loss, diverged=False, **flat):
    whole = {"schedule.kind": "cosine", "optimizer.lr": 0.1, "optimizer.momentum": 0.9, "data.batch_size": 64}
    whole |= {key.replace("__", "."): value for key, value in flat.items()}
    return Outcome(f"{flat} {seed}", seed, diverged, {"val_loss": loss}, {}, 1.0, whole)


def responses(outcomes, by=()):
    found, _ = variants(outcomes, "val_loss", False, by)
    return {each.name: each for each in lr_responses(outcomes, "val_loss", found, by)}


def test_each_schedule_has_its_losses_by_lr():
    outcomes = [
        outcome(seed, lr * (1 + seed) * factor, schedule__kind=kind, optimizer__lr=lr)
        for kind, factor in (("cosine", 1), ("wsd", 2)) for lr in (0.3, 0.1) for seed in (0, 1)
    ]  # fmt: skip
    found = responses(outcomes)
    assert list(found) == ["cosine", "wsd"]
    assert found["wsd"].lr.tolist() == [0.1, 0.3]
    assert found["wsd"].values == pytest.approx(np.array([[0.2, 0.4], [0.6, 1.2]]))
    assert found["wsd"].mean == pytest.approx([0.3, 0.9])


def test_an_lr_at_which_a_seed_diverged_has_no_mean():
    outcomes = [outcome(seed, 1.0, diverged=seed == 1 and lr > 0.5, optimizer__lr=lr, data__batch_size=size)
                for size in (32, 64) for lr in (0.1, 1.0) for seed in (0, 1)]  # fmt: skip
    found = responses(outcomes)["data.batch_size=32"]
    assert found.diverged.tolist() == [0, 1]
    assert found.mean[0] == 1.0 and np.isnan(found.mean[1])


def test_other_settings_are_those_the_variant_was_chosen_with():
    outcomes = [
        outcome(0, loss, schedule__kind=kind, optimizer__lr=lr, optimizer__momentum=momentum)
        for kind in ("cosine", "wsd")
        for lr, momentum, loss in ((0.1, 0.0, 5.0), (0.3, 0.0, 6.0), (0.1, 0.9, 2.0), (0.3, 0.9, 1.0))
    ]
    found = responses(outcomes, by=["schedule.kind"])
    assert found["cosine"].values.ravel().tolist() == [2.0, 1.0]


def test_lrs_that_are_the_variants_are_one_response():
    (found,) = responses([outcome(0, lr, optimizer__lr=lr) for lr in (0.1, 0.2, 0.4)]).values()
    assert found.name == "" and found.lr.tolist() == [0.1, 0.2, 0.4]


def test_a_single_lr_shows_nothing():
    assert responses([outcome(0, 1.0, schedule__kind=kind) for kind in ("cosine", "wsd")]) == {}
    tuned = [outcome(0, 1.0, schedule__kind=kind, optimizer__lr=lr) for kind, lr in (("cosine", 0.1), ("wsd", 0.2))]
    assert responses(tuned, by=["schedule.kind"]) == {}


def curve(means, noise=0.0, diverged=None, seeds=6):
    values = np.array(means)[:, None] * (1 + noise * np.random.default_rng(0).standard_normal((len(means), seeds)))
    lost = np.zeros(len(means), dtype=int) if diverged is None else np.array(diverged)
    return LrResponse("a", 10.0 ** np.arange(len(means)), values, lost)


def test_the_lrs_that_are_nearly_as_good_as_the_best_are_interpolated():
    found = tolerance(curve([2.0, 1.0, 1.05, 1.15, 3.0]), False)
    assert found.low == pytest.approx(10**0.9) and found.high == pytest.approx(10**2.5)
    assert found.factor == pytest.approx(found.high / found.low) and not found.open
    assert found.interval == pytest.approx((found.factor, found.factor))
    noisy = tolerance(curve([2.0, 1.0, 1.05, 1.15, 3.0], noise=0.1), False)
    assert noisy.interval[0] < noisy.factor < noisy.interval[1]


def test_an_lr_that_diverged_ends_the_range_and_so_do_the_lrs_that_were_trained():
    found = tolerance(curve([1.0, 1.0, 1.0, 9.0], diverged=[0, 0, 2, 0]), False)
    assert (found.low, found.high, found.open) == (1.0, 10.0, True)
    assert tolerance(curve([1.0, 1.0], diverged=[1, 1]), False) is None
    assert tolerance(curve([0.5, 0.9, 0.85, 0.2], seeds=1), True).interval is None
    assert tolerance(curve([0.5, 0.9, 0.85, 0.2]), True).high > 100
