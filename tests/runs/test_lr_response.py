import numpy as np
import pytest

from lrtool.runs.lr_response import lr_responses
from lrtool.runs.outcomes import Outcome
from lrtool.runs.variants import variants


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
