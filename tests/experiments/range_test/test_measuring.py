"""What a range test measures within a budget, in which order, and what it says of what it left out."""

import json

import numpy as np
import pytest

from lrtool.analysis.range_test_result import Caveat, Reason
from lrtool.engine.trials import EngineName
from lrtool.errors import TaskError
from lrtool.experiments.engines import Engines
from lrtool.experiments.range_test.listener import Listener
from lrtool.experiments.range_test.range_test import run_range_test

PLACE = "lrtool.experiments.range_test.range_test"
#: Of itself: the loss falls with every forward pass, whatever the optimizer does.
TRAINS_ITSELF = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(2, 3), nn.Parameter(torch.zeros(3))
        self.own = torch.optim.SGD(self.inner.parameters(), lr=0.1)

    def forward(self, x, labels):
        loss = nn.functional.cross_entropy(self.inner(x), labels)
        if self.training and torch.is_grad_enabled():
            self.own.zero_grad()
            loss.backward()
            self.own.step()
            self.own.zero_grad()
        return {"loss": loss.detach() + 0 * self.outer.sum()}
"""
TWO_COLUMNS = """
import torch

def load():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(240, 2, generator=g)
    y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
    return [{"x": a, "labels": b} for a, b in zip(x, y)]
"""


class Heard(Listener):
    """What a listener hears."""

    def __init__(self):
        self.announcements, self.first = [], []

    def announced(self, cost, updates):
        self.announcements.append((cost, updates))

    def answered(self, first):
        self.first.append(first)


@pytest.fixture(scope="module")
def measured_once(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, measured_once):
    """Speeds are measured once for all of these tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", measured_once)
    # Whether the model can be stacked takes longer to see than its range test; these go by the loop engine.
    monkeypatch.setattr("lrtool.engine.choice.why_not_stackable", lambda *_: "not asked")


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    """Plots that would have been drawn; drawing takes longer than all else."""
    plots = []
    monkeypatch.setattr("lrtool.report.pictures.picture", lambda folder, stem, draw: plots.append(stem))
    return plots


def ranged(setup, folder, silent, budget=None, **more):
    return run_range_test(setup, folder, silent, Engines(EngineName.LOOP), budget, **more)


@pytest.mark.parametrize("budget", [3.0, 10.0])
def test_no_more_is_trained_than_the_budget_holds_and_what_is_left_out_is_said(configured, silent, tmp_path, budget):
    setup = configured(range_test__probe_steps=40, range_test__steps=60)
    run, result = ranged(setup, tmp_path, silent, budget)
    summary = run.folder.summary()
    ramp = 60 / setup.steps
    assert summary["cost"]["trained_runs"] <= max(budget, ramp) + 1e-3
    assert summary["left_out"] and summary["cost"]["budget_for_everything"] > budget
    assert (result.suggestion is None) == (result.reason is not None)
    assert budget < 8 or (result.suggestion is not None and len(result.probes) >= 11)


def test_the_same_budget_trains_the_same(configured, silent, tmp_path):
    setup = configured(range_test__probe_steps=40)
    (one, first), (other, second) = (ranged(setup, tmp_path, silent, 6) for _ in range(2))
    assert one.steps == other.steps and first.suggestion == second.suggestion and first.probes == second.probes


def test_a_rich_budget_leaves_nothing_out(configured, silent, tmp_path):
    run, result = ranged(configured(range_test__probe_steps=20, range_test__seeds=1), tmp_path, silent, 60)
    assert result.left_out == () and run.folder.summary()["left_out"] == []
    assert result.stability_source == "short trainings at constant LRs"


def test_probes_are_written_to_disk(configured, silent, tmp_path):
    run, result = ranged(configured(range_test__probe_steps=20), tmp_path, silent, 8)
    head, *rows = (run.folder.path / "probes.csv").read_text().splitlines()
    assert head == "lr,seed,steps,loss" and len(rows) == len(result.probes)
    values = [[float(cell) for cell in row.split(",")] for row in rows]
    np.testing.assert_array_equal(values, [[p.lr, p.seed, p.steps, p.loss] for p in result.probes])


def test_quick_is_the_ramp_alone(configured, silent, tmp_path):
    heard = Heard()
    run, result = ranged(configured(range_test__probe_steps=40), tmp_path, silent, quick=True, listener=heard)
    assert run.steps <= 2 * 60 and result.source == "the ramp alone" and result.probes == ()
    ((cost, updates),) = heard.announcements
    assert updates == 120 and "120 updates" in cost


def test_the_cost_is_said_first_and_the_ramps_answer_next(configured, silent, tmp_path):
    heard = Heard()
    setup = configured(range_test__probe_steps=40)
    _, quick = ranged(setup, tmp_path, silent, quick=True)
    run, _ = ranged(setup, tmp_path, silent, 20, listener=heard)
    (first,) = heard.first
    assert "training runs" in heard.announcements[0][0] and " s" in heard.announcements[0][0]
    assert first.suggestion == quick.suggestion
    cost = run.folder.summary()["cost"]
    assert cost["first_answer_seconds"] >= cost["ramp_seconds"] > 0


def test_who_is_stopped_between_has_the_ramps_answer(configured, silent, tmp_path, monkeypatch, drawn):
    seen = {}

    def stopped(setup, ramp, plan, spending):
        (folder,) = (path for path in (tmp_path / "small").iterdir() if path.name.endswith("range-test"))
        seen.update(json.loads((folder / "summary.json").read_text()))
        assert drawn == ["range_test"]
        raise KeyboardInterrupt

    monkeypatch.setattr(f"{PLACE}.measured", stopped)
    with pytest.raises(KeyboardInterrupt):
        ranged(configured(range_test__probe_steps=40, range_test__steps=150, range_test__seeds=3), tmp_path, silent, 20)
    assert seen["suggested_lr"] > 0 and seen["status"] == "interrupted" and "only the ramp" in seen["reason"]
    after = json.loads((tmp_path / "small/latest/summary.json").read_text())
    assert after["suggested_lr"] == seen["suggested_lr"] and after["status"] == "interrupted"


def test_a_failure_between_keeps_the_ramps_answer_too(configured, silent, tmp_path, monkeypatch):
    def failing(*_):
        raise TaskError("the model broke", where="m.py", remedy="mend it")

    monkeypatch.setattr(f"{PLACE}.measured", failing)
    with pytest.raises(TaskError):
        ranged(configured(range_test__probe_steps=40, range_test__steps=150, range_test__seeds=3), tmp_path, silent, 20)
    after = json.loads((tmp_path / "small/latest/summary.json").read_text())
    assert after["suggested_lr"] > 0 and after["status"] == "failed"


@pytest.mark.parametrize("duration", [1, 4])
def test_a_run_of_a_few_updates_has_no_answer_or_a_caveat(configured, silent, tmp_path, duration):
    setup = configured(train__duration=duration, range_test__probe_steps=40, range_test__steps=100)
    _, result = ranged(setup, tmp_path, silent, 60)
    if result.suggestion is None:
        assert result.reason is not None
    else:
        assert Caveat.FEW_UPDATES in result.caveats
        assert result.suggestion.low <= result.suggestion.value <= result.suggestion.high


def test_a_model_that_something_else_trains_has_no_suggestion(configured, silent, tmp_path):
    (tmp_path / "m.py").write_text(TRAINS_ITSELF)
    (tmp_path / "d.py").write_text(TWO_COLUMNS)
    setup = configured(
        model={"use": "m.py:Net"}, data={"use": "d.py:load", "batch_size": 24}, optimizer={"kind": "sgd", "lr": 0.1},
        range_test__probe_steps=40, range_test__steps=60,
    )  # fmt: skip
    _, result = ranged(setup, tmp_path, silent, 60)
    assert result.suggestion is None and result.reason in (Reason.ANY_LR, Reason.FLAT)
    _, quick = ranged(setup, tmp_path, silent, quick=True)
    assert quick.suggestion is None or Caveat.FALLS_AT_ONCE in quick.caveats


def test_a_ramp_that_would_take_much_of_the_budget_is_shorter_and_that_is_said(configured, silent, tmp_path):
    _, result = ranged(configured(range_test__probe_steps=40), tmp_path, silent, 3)
    assert len(result.lr) == 40
    assert any(said.startswith("a longer ramp") for said in result.left_out)
    assert result.lr[0] == 1e-4 and result.lr[-1] == 100
    _, quick = ranged(configured(range_test__probe_steps=40), tmp_path, silent, 3, quick=True)
    assert len(quick.lr) == 60
