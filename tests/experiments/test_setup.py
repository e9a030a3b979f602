import numpy as np
import pytest
import safetensors.torch

from lrtool.errors import UsageError
from lrtool.experiments import train
from lrtool.tasks.base import seeded_model


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


def test_the_weights_to_begin_with_are_those_of_a_file_or_a_run(configured, silent, tmp_path, undrawn):
    folder = train.run_training(configured(train__duration="1ep"), tmp_path / "out", silent).session.folder
    best = folder.checkpoints / "best.safetensors"
    saved = safetensors.torch.load_file(best)
    for path in (best, folder.path, tmp_path / "out" / "small", tmp_path / "out" / "small" / "latest"):
        setup = configured(init={"path": str(path)})
        assert setup.config.init.path == str(best)
        for seed in (0, 5):
            model = seeded_model(setup.task, seed).state_dict()
            assert all(model[name].equal(each) for name, each in saved.items())
    best.unlink()
    with pytest.raises(UsageError, match=r"best\.safetensors: missing: the run wrote it"):
        configured(init={"path": str(folder.path)})
    (folder.path / "manifest.sha256").unlink()  # as of a run that was killed
    assert configured(init={"path": str(folder.path)}).config.init.path.endswith("step-00000008.safetensors")
    with pytest.raises(UsageError, match="do not fit the model"):
        configured(init={"path": str(folder.path)}, model__hidden=[8])
    for path in folder.checkpoints.iterdir():
        path.unlink()
    with pytest.raises(UsageError, match="this run has no weights"):
        configured(init={"path": str(folder.path)})


def test_what_the_data_say_of_batches_stands_in_the_config(configured, tmp_path):
    (tmp_path / "d.py").write_text(
        "import torch\nfrom torch.utils.data import *\n"
        "def load(): return DataLoader(TensorDataset(torch.randn(90, 2), torch.arange(90) % 2), batch_size=25)\n"
    )
    own = configured(data={"use": "d.py:load"})
    assert (own.config.data.batch_size, own.config.data.drop_last) == (25, False)
    assert own.updates_per_epoch == 3 and own.steps == 15 and "batch_size: 25" in own.config.to_yaml()
    told = configured(data={"use": "d.py:load", "batch_size": 10, "drop_last": True, "val_fraction": 0.5})
    assert (told.config.data.batch_size, told.config.data.drop_last, told.updates_per_epoch) == (10, True, 4)
