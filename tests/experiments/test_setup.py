import numpy as np
import pytest

from lrtool.errors import UsageError


def test_durations_count_updates_of_accumulated_batches(configured):
    # 192 training samples in batches of 24: 8 batches an epoch.
    assert configured().updates_per_epoch == 8
    assert configured(train__accumulate=2).updates_per_epoch == 4
    assert configured(train__accumulate=100).updates_per_epoch == 1
    assert configured(train__duration="5ep").steps == 40
    assert configured(train__duration=17).steps == 17


def test_a_duration_that_rounds_to_nothing_is_an_error_with_the_key(configured):
    with pytest.raises(UsageError, match=r"train\.duration.*'0.01ep' comes to 0 updates.*at least 1"):
        _ = configured(train__duration="0.01ep").steps


def test_one_cycle_drives_momentum_and_its_curve_reaches_the_peak(configured):
    setup = configured()
    curves = setup.curves(0.3, setup.steps)
    assert set(curves) == {"lr", "momentum"}
    assert curves["lr"].table().max() == pytest.approx(0.3)
    assert curves["momentum"].table()[np.argmax(curves["lr"].table())] == curves["momentum"].table().min()


def test_other_hyperparameters_take_schedules_whose_peak_is_the_optimizers_value(configured):
    setup = configured(
        optimizer={"kind": "adamw", "lr": 0.01, "weight_decay": 0.2},
        schedule={"kind": "cosine"},
        schedules={"weight_decay": {"kind": "linear"}},
    )
    table = setup.curves(0.01, 10)["weight_decay"].table()
    assert table[0] == pytest.approx(0.2)
    assert table[-1] < table[0]


def test_describe_says_what_was_built(configured):
    facts = configured().describe()
    assert facts["training_samples"] == 192
    assert facts["validation_samples"] == 48
    assert facts["updates"] == 40
    assert facts["parameters"] > 0


def test_the_best_weights_are_judged_by_what_the_task_measures(configured):
    assert configured(train__best="val_accuracy").recipe.best == "val_accuracy"
    with pytest.raises(UsageError, match=r"train\.best: an evaluation gives no 'val_mae'; choose one of: train_loss"):
        configured(train__best="val_mae")
    with pytest.raises(UsageError, match=r"train\.best: without validation data there is no val_accuracy"):
        configured(train__best="val_accuracy", data__val_fraction=0)
    # The default has a stand-in: the training loss.
    assert configured(data__val_fraction=0).recipe.best == "val_loss"
