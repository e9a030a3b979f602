import json

import numpy as np
import pytest

from lrtool.analysis.range_test_result import Reason
from lrtool.analysis.suggest import METHODS
from lrtool.config.settings import RangeTestSettings
from lrtool.engine.observer import Observer
from lrtool.experiments.range_test.ramp import ramp
from lrtool.experiments.range_test.range_test import run_range_test
from lrtool.runs.metrics import read_metrics


@pytest.mark.parametrize("shape", ["exponential", "linear"])
@pytest.mark.parametrize("steps", [2, 7, 100])
def test_the_ramp_runs_from_start_to_exactly_end(shape, steps):
    table = ramp(RangeTestSettings(start=1e-5, end=3.0, steps=steps, ramp=shape)).table()
    assert table[0] == 1e-5
    assert table[-1] == 3.0
    spaced = np.log(table) if shape == "exponential" else table
    assert np.allclose(np.diff(spaced), np.diff(spaced)[0])


def test_a_range_test_leaves_the_whole_run_folder(configured, silent, tmp_path):
    run, result = run_range_test(configured(range_test__steps=150, range_test__seeds=3), tmp_path, silent)
    folder = run.folder.path
    assert {"config.yaml", "metrics.csv", "summary.json", "environment.json", "log.txt"} <= {
        path.name for path in folder.iterdir()
    }
    assert (folder / "range_test.png").stat().st_size > 10_000
    assert (folder / "range_test.svg").stat().st_size > 10_000
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["command"] == "range-test" and summary["status"] == "finished"
    assert summary["suggested_lr"] == result.suggestion.value
    assert summary["interval"][0] <= summary["suggested_lr"] <= summary["interval"][1]
    assert summary["lower_lr"] < summary["upper_lr"]
    assert summary["methods"] == {}


def test_the_recorded_lr_is_the_one_the_update_used(configured, silent, tmp_path):
    setup = configured(range_test__end=0.1)
    run, _ = run_range_test(setup, tmp_path, silent)
    table = read_metrics(run.folder.path / "metrics.csv")
    for trial in (0, 1):
        lr = table["lr"][table["trial"] == trial]
        assert lr[0] == 1e-4 and lr[-1] == 0.1 and len(lr) == 60


def test_with_accumulation_the_ramp_moves_once_per_update(configured, silent, tmp_path):
    run, _ = run_range_test(configured(train__accumulate=3, range_test__end=0.1), tmp_path, silent)
    table = read_metrics(run.folder.path / "metrics.csv")
    assert len(np.unique(table["lr"])) == 60
    # 8 batches an epoch, 3 an update: update 5 is the last that begins in epoch 1.
    assert table["epoch"][:7].tolist() == [0, 0, 0, 1, 1, 1, 2]


def test_validation_along_the_ramp_is_measured_when_asked_for(configured, silent, tmp_path):
    run, _ = run_range_test(configured(range_test__val_every=20, range_test__end=0.1), tmp_path, silent)
    table = read_metrics(run.folder.path / "metrics.csv")
    measured = np.isfinite(table["val_loss"])
    for trial in (0, 1):
        assert table["step"][measured & (table["trial"] == trial)].tolist() == [19, 39, 59]


def test_multipliers_of_groups_hold_along_the_ramp(configured, silent, tmp_path):
    # With every parameter frozen by its group, no LR of the ramp can change the loss of a batch order.
    frozen = {"kind": "sgd", "lr": 0.1, "groups": [{"match": "*", "lr_scale": 0.0}]}
    _, result = run_range_test(configured(optimizer=frozen, model={"kind": "linear"}), tmp_path, silent)
    assert result.suggestion is None


def test_a_flat_loss_gives_a_reason_and_no_number(configured, silent, tmp_path):
    run, result = run_range_test(configured(range_test__start=1e-9, range_test__end=1e-8), tmp_path, silent)
    summary = run.folder.summary()
    assert result.suggestion is None
    assert summary["suggested_lr"] is None and summary["interval"] is None
    assert "raise range_test.end" in summary["reason"]


def test_when_every_seed_diverges_at_once_nothing_is_invented(configured, silent, tmp_path):
    setup = configured(range_test__start=1e6, range_test__end=1e9, loss="mse", data={"kind": "regression"})
    run, result = run_range_test(setup, tmp_path, silent)
    assert result.suggestion is None
    assert run.folder.summary()["status"] == "diverged"
    assert run.folder.summary()["suggested_lr"] is None


def test_a_range_test_that_supports_no_suggestion_has_not_diverged(configured, silent, tmp_path):
    # Every seed diverges, as a ramp should in the end, but only after updates that changed nothing.
    setup = configured(range_test__start=1e-9, range_test__end=1e3, range_test__steps=200, loss="mse",
                       data={"kind": "regression", "noise": 1000.0})  # fmt: skip
    run, result = run_range_test(setup, tmp_path, silent)
    assert result.suggestion is None and result.reason is Reason.ONLY_RISING
    assert all(np.isnan(losses[-1]) for losses in result.losses)
    assert run.folder.summary()["status"] == "finished"


def test_the_same_seed_gives_the_same_bytes(configured, silent, tmp_path):
    tables = [
        read_metrics(run_range_test(configured(), tmp_path, silent)[0].folder.path / "metrics.csv") for _ in range(2)
    ]
    for name in tables[0]:
        if name != "seconds":
            np.testing.assert_array_equal(tables[0][name], tables[1][name])


@pytest.mark.parametrize("suggest", ["valley", {"kind": "minimum", "divide": 3.0}])
def test_a_chosen_method_gives_the_suggestion_and_short_trainings_do_not_replace_it(
    configured, silent, tmp_path, suggest
):
    kind = suggest if isinstance(suggest, str) else suggest["kind"]
    run, result = run_range_test(
        configured(range_test__suggest=suggest, range_test__probe_steps=20, range_test__steps=150, range_test__seeds=3),
        tmp_path,
        silent,
    )
    summary = json.loads((run.folder.path / "summary.json").read_text())
    assert summary["suggested_lr"] == summary["methods"][kind]["lr"] == result.suggestion.value
    assert summary["interval"][0] < summary["suggested_lr"] < summary["interval"][1]
    assert summary["suggested_from"] == f"the ramp alone, by the method {kind}"
    assert summary["stability_limit"] is not None
    assert METHODS[kind].model_validate({} if isinstance(suggest, str) else suggest) == run.config.range_test.suggest


def test_observers_hear_of_every_call_and_are_closed_at_the_end(configured, tmp_path):
    heard = []

    class Told(Observer):
        def begin(self, trials, first=0):
            heard.append(len(trials))

        def close(self):
            heard.append("closed")

    run_range_test(configured(), tmp_path, lambda *_: Told())
    assert heard == [2, "closed"]
