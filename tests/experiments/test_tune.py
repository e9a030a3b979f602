import json
from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from lrtool.analysis.statistics.comparison import difference
from lrtool.errors import UsageError
from lrtool.experiments.final import final_loss
from lrtool.experiments.tune import run_tune
from lrtool.experiments.tune_result import Warning_, said_of
from lrtool.runs.folder import RunFolder
from lrtool.runs.metrics import read_metrics
from lrtool.runs.suggested_lr import lr_from, lr_is_of
from lrtool.runs.summary import summary as summarised


def test_a_compressed_curve_has_the_shape_of_the_whole(configured):
    whole = configured().curves(0.3, 40)["lr"]
    short = whole.compressed(10)
    np.testing.assert_allclose(short.table(), whole(np.arange(10) * 4))
    assert whole.compressed(40) is whole


def test_tune_finds_an_lr_with_evidence_and_leaves_a_run_folder(configured, silent, tmp_path):
    run, result = run_tune(configured(train__duration="10ep"), tmp_path, silent, budget=60)
    folder = run.folder.path
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["command"] == "tune" and summary["status"] == "finished"
    assert summary["interval"][0] <= summary["suggested_lr"] <= summary["interval"][1]
    assert summary["lower_lr"] <= summary["suggested_lr"] <= summary["upper_lr"]
    assert summary["expected_loss"] < 0.69  # better than guessing one of two classes
    assert summary["cost"]["trained_runs"] <= summary["cost"]["planned_runs"] <= 8 * 60
    assert (folder / "tune.png").stat().st_size > 10_000
    assert lr_from(folder) == summary["suggested_lr"]
    trials = read_metrics(folder / "metrics.csv")["trial"]
    assert len(np.unique(trials)) == trials.max() + 1
    assert result.best.fraction == 1


def test_schedules_are_ranked_each_at_its_own_best_lr(configured, silent, tmp_path):
    run, result = run_tune(
        configured(train__duration="10ep", data__samples=600),
        tmp_path,
        silent,
        budget=60,
        schedules=("constant", "cosine"),
    )
    assert {each.name for each in result.ranking} == {"constant", "cosine"}
    assert [each.expected for each in result.ranking] == sorted(each.expected for each in result.ranking)
    for each in result.ranking:
        assert lr_from(run.folder.path, each.name) == each.response.lr
    assert lr_from(run.folder.path, "wsd") == result.best.response.lr
    assert lr_is_of(run.folder.path, "wsd") == result.best.name and lr_is_of(run.folder.path, "cosine") == "cosine"


def test_an_lr_that_stands_in_for_a_schedule_without_one_is_named_as_such(tmp_path):
    folder = RunFolder.create(tmp_path, "task", "tune")
    ranked = [{"name": "wsd", "suggested_lr": 0.2}, {"name": "cosine", "suggested_lr": None}]
    folder.write_text("config.yaml", "")
    results = {"suggested_lr": 0.2, "schedules": ranked}
    done = summarised("tune", "finished", reason="", steps=1, seconds=1.0, config_hash="", **results)
    folder.write_json("summary.json", done)
    assert lr_from(folder.path, "cosine") == 0.2 and lr_is_of(folder.path, "cosine") == "wsd"


def test_schedules_are_told_apart_only_by_their_seeds(configured, silent, tmp_path):
    run, result = run_tune(configured(train__duration="10ep"), tmp_path, silent, budget=80, schedules=("cosine", "rex"))
    best, other = result.ranking
    assert result.behind(best) is None
    behind = result.behind(other)
    (_, listed) = json.loads((run.folder.path / "summary.json").read_text())["schedules"]
    assert listed["worse_by"] == pytest.approx(behind.estimate.mean)
    assert listed["told_apart"] == behind.significant == (not said_of(behind).startswith("cannot be told"))
    # Between two LRs that were tried, a seed's loss lies between its own two.
    lrs, losses = other.search.table()
    place = int(np.searchsorted(lrs, other.response.lr))
    beside = losses[max(0, place - 1) : place + 1]
    for seed, loss in other.by_seed.items():
        assert beside[:, seed].min() - 1e-12 <= loss <= beside[:, seed].max() + 1e-12


def test_a_schedule_is_worse_by_what_its_seeds_agree_on():
    apart = difference("b", {0: 2.0, 1: 2.1, 2: 2.05}, "a", {0: 1.0, 1: 1.1, 2: 1.06})
    assert said_of(apart) == "worse by 0.997 (0.981 … 1.01), 3 seeds"
    alike = difference("b", {0: 2.0, 1: 1.0}, "a", {0: 1.0, 1: 1.9})
    assert said_of(alike) == "cannot be told from the best with 2 seeds"
    assert said_of(difference("b", {0: 2.0}, "a", {0: 1.0})) == "cannot be told from the best with 1 seed"


def test_a_budget_that_holds_nothing_is_refused_with_one_that_would(configured, silent, tmp_path):
    with pytest.raises(UsageError, match=r"--budget.*holds no comparison.*write at least --budget \d+x"):
        run_tune(configured(), tmp_path, silent, budget=0.01)


def test_a_loss_that_no_lr_changes_gives_a_reason_and_no_number(configured, silent, tmp_path):
    frozen = {"kind": "sgd", "lr": 0.1, "groups": [{"match": "*", "lr_scale": 0.0}]}
    run, result = run_tune(configured(optimizer=frozen, model={"kind": "linear"}), tmp_path, silent, budget=30)
    assert result.best.response.lr is None
    assert run.folder.summary()["suggested_lr"] is None
    assert "show no difference between LRs" in run.folder.summary()["reason"]


def test_a_trial_is_judged_by_its_last_validation_or_last_training_losses(configured, silent, tmp_path):
    setup = configured(data__val_fraction=0.0)
    _, result = run_tune(setup, tmp_path, silent, budget=30)
    assert result.best.response.lr is not None


class Exploding(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        return self.layer(x) * float("inf")


def test_when_every_training_diverges_no_lr_is_named(configured, silent, tmp_path):
    setup = configured()
    setup = replace(setup, task=replace(setup.task, new_model=Exploding))
    run, result = run_tune(setup, tmp_path, silent, budget=30)
    summary = run.folder.summary()
    assert result.best.response.lr is None and summary["suggested_lr"] is None and summary["interval"] is None
    assert summary["status"] == "diverged" and "diverged" in summary["reason"]


@pytest.mark.parametrize("wrong", [1e-4, 1e3])
def test_a_bracket_that_is_wrong_moves_to_the_best_lr(configured, silent, tmp_path, monkeypatch, wrong):
    # Of 13 LRs from 0.1 to 4, full trainings are best from 0.4 to 1.
    monkeypatch.setattr("lrtool.experiments.tune.centre", lambda *_: wrong)
    _, result = run_tune(configured(), tmp_path, silent, budget=80)
    assert 0.2 < result.best.response.lr < 2.5


def test_a_validation_set_too_small_to_tell_is_said_with_the_interval(configured, silent, tmp_path):
    # Twelve samples to validate with, of noisy data.
    setup = configured(data__val_fraction=0.05, data__noise=0.5, seed=1)
    run, result = run_tune(setup, tmp_path, silent, budget=30)
    summary, response = run.folder.summary(), result.best.response
    assert summary["interval"] == [end if np.isfinite(end) else None for end in response.interval]
    assert Warning_.FEW_SAMPLES.value in summary["warnings"]
    # A wide range of alike LRs, or one that may go on beyond those tried; which one depends on what the time held.
    low, high = response.within_noise
    lrs, _ = result.best.search.table()
    said = {Warning_.ALIKE.value, Warning_.EDGE.value} & set(summary["warnings"])
    assert high / low > 5 and bool(said) == (high / low > 0.9 * lrs[-1] / lrs[0])


def test_a_seed_that_diverges_at_every_lr_is_said_with_the_answer(configured, silent, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "lrtool.experiments.tune.final_loss",
        lambda trace: float("nan") if trace.trial.seed == 1 else final_loss(trace),
    )
    _, result = run_tune(configured(train__duration="10ep"), tmp_path, silent, budget=60)
    assert result.best.response.lost_seeds == 1
    assert Warning_.LOST_SEEDS in result.warnings and np.isfinite(result.best.expected)
