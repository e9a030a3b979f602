import json

import numpy as np
import pytest

from lrtool.errors import UsageError
from lrtool.experiments.train import lr_from
from lrtool.experiments.tune import compressed, run_tune
from lrtool.runs.metrics import read_metrics


def test_a_compressed_curve_has_the_shape_of_the_whole(configured):
    whole = configured().curves(0.3, 40)["lr"]
    short = compressed(whole, 10)
    np.testing.assert_allclose(short.table(), whole(np.arange(10) * 4))
    assert compressed(whole, 40) is whole


def test_tune_finds_an_lr_with_evidence_and_leaves_a_run_folder(configured, silent, tmp_path):
    run, result = run_tune(configured(train__duration="10ep"), tmp_path, silent, budget=60)
    folder = run.folder.path
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["command"] == "tune" and summary["status"] == "finished"
    assert summary["interval"][0] <= summary["suggested_lr"] <= summary["interval"][1]
    assert summary["lower_lr"] <= summary["suggested_lr"] <= summary["upper_lr"]
    assert summary["expected_loss"] < 0.69  # better than guessing one of two classes
    assert summary["cost"]["runs"] <= 60
    assert (folder / "tune.png").stat().st_size > 10_000
    assert lr_from(folder) == summary["suggested_lr"]
    trials = read_metrics(folder / "metrics.csv")["trial"]
    assert len(np.unique(trials)) == trials.max() + 1
    assert result.best.fraction == 1


def test_schedules_are_ranked_each_at_its_own_best_lr(configured, silent, tmp_path):
    _, result = run_tune(configured(), tmp_path, silent, budget=60, schedules=("constant", "cosine"))
    assert {each.name for each in result.ranking} == {"constant", "cosine"}
    assert [each.expected for each in result.ranking] == sorted(each.expected for each in result.ranking)


def test_a_budget_that_holds_nothing_is_refused_with_one_that_would(configured, silent, tmp_path):
    with pytest.raises(UsageError, match=r"--budget.*holds no comparison.*write at least --budget \d+x"):
        run_tune(configured(), tmp_path, silent, budget=0.01)


def test_a_loss_that_no_lr_changes_gives_a_reason_and_no_number(configured, silent, tmp_path):
    frozen = {"kind": "sgd", "lr": 0.1, "groups": [{"match": "*", "lr_scale": 0.0}]}
    run, result = run_tune(configured(optimizer=frozen, model={"kind": "linear"}), tmp_path, silent, budget=30)
    assert result.best.response.lr is None
    assert run.folder.summary()["suggested_lr"] is None
    assert "does not depend on the LR" in run.folder.summary()["reason"]


def test_a_trial_is_judged_by_its_last_validation_or_last_training_losses(configured, silent, tmp_path):
    setup = configured(data__val_fraction=0.0)
    _, result = run_tune(setup, tmp_path, silent, budget=30)
    assert result.best.response.lr is not None
