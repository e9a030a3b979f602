import hashlib
import json

import pytest
import torch

import lrtool
from lrtool.analysis.search.critical_lr import CriticalLr
from lrtool.engine.loop.engine import LoopEngine
from lrtool.experiments.prior.critical import AT, SEEDS, critical_lr
from lrtool.experiments.range_test.range_test import resume_range_test, run_range_test
from lrtool.experiments.setup import prepare
from lrtool.runs.folder import RunFolder


def cost(found: CriticalLr) -> float:
    """In updates; a forward pass is a third of one."""
    return found.updates + found.passes / 3


def test_it_costs_what_there_is_room_for(configured):
    setup = configured(range_test__seeds=3)
    whole = critical_lr(setup)
    assert {look.seed for look in whole.looks} == {0, 1, 2} and {look.step for look in whole.looks} == {*AT}
    assert len(whole.looks) == SEEDS * len(AT) and cost(whole) < 200
    for room in (5, 30, 60, 120):
        found = critical_lr(setup, room)
        assert cost(found) <= room and found.estimate is not None
    least = critical_lr(setup, 0)
    assert [(look.seed, look.step) for look in least.looks] == [(0, 0)]


def test_with_the_same_seeds_it_is_the_same(configured):
    state = torch.get_rng_state()
    assert critical_lr(configured(), 60) == critical_lr(configured(), 60)
    assert torch.equal(torch.get_rng_state(), state)


def test_it_is_in_proportion_to_the_optimizers_own_units(configured):
    def found(scale, lr):
        groups = [{"match": "*", "lr_scale": scale}]
        return critical_lr(configured(optimizer={"kind": "sgd", "lr": lr, "groups": groups})).estimate.value

    # The LR from which the search begins is no part of the answer, but for the width of the bracket.
    assert found(0.01, 30.0) / found(1.0, 0.3) == pytest.approx(100, rel=0.02)
    assert found(1.0, 3e-3) / found(1.0, 0.3) == pytest.approx(1, rel=0.25)


def test_a_training_just_above_it_goes_up_and_one_far_below_goes_down(configured):
    setup = configured(model={"kind": "linear"}, optimizer={"kind": "sgd", "lr": 0.3})
    at = critical_lr(setup).estimate.value
    trials = [setup.trial(0, lr, steps=30) for lr in (at / 20, at * 20)]
    low, high = (trace.train_loss for trace in LoopEngine().run(setup.task, trials, setup.recipe))
    assert low[-5:].mean() < low[:3].mean() and not high[-5:].mean() < high[:3].mean()


def test_where_the_users_code_fails_there_is_none(configured):
    setup = configured()

    def broken():
        raise RuntimeError("no")

    from dataclasses import replace

    assert critical_lr(replace(setup, task=replace(setup.task, new_model=broken))) is None


def test_a_range_test_says_it_everywhere(configured, silent, tmp_path):
    run, result = run_range_test(configured(), tmp_path, silent)
    summary = json.loads((run.folder.path / "summary.json").read_text())
    low, high = summary["critical_interval"]
    assert low <= summary["critical_lr"] == result.critical.value <= high
    assert summary["critical_sharpness"] == pytest.approx(2 / summary["critical_lr"])
    assert set(summary["cost"]["critical"]) == {"updates", "forward_passes"}
    from lrtool.report.terminal.range_test import found_lines

    assert any("one update raises the loss at" in line for line in found_lines(result))
    loaded = lrtool.load(run.folder.path)
    assert loaded.critical_lr == summary["critical_lr"]
    assert {
        "what": "one update raises the loss at",
        "lr": loaded.critical_lr,
        "low": low,
        "high": high,
    } in loaded.rows()
    assert loaded.plotted().critical.value == summary["critical_lr"]


def test_going_on_keeps_it(configured, silent, tmp_path, monkeypatch):
    run, result = run_range_test(configured(), tmp_path, silent)
    monkeypatch.setattr("lrtool.experiments.prior.critical.critical_lr", lambda *_: pytest.fail("measured once more"))
    setup = prepare(run.config)
    _, again, _ = resume_range_test(setup, RunFolder.open(run.folder.path), silent)
    assert again.critical == result.critical


def test_a_test_of_weights_that_nothing_moves_has_none(configured, silent, tmp_path):
    frozen = {"kind": "sgd", "lr": 0.1, "groups": [{"match": "*", "lr_scale": 0.0}]}
    run, result = run_range_test(configured(optimizer=frozen), tmp_path, silent)
    summary = run.folder.summary()
    assert result.critical is None and summary["critical_lr"] is None and summary["critical_interval"] is None


class OwnLoss(torch.nn.Module):
    """Takes a mapping's entries by name, and gives its loss, as Hugging Face models do."""

    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 3))

    def forward(self, x, labels=None):
        return {"loss": torch.nn.functional.cross_entropy(self.body(x), labels)}


class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, index):
        x = torch.randn(6, generator=torch.Generator().manual_seed(index))
        return {"x": x, "labels": x[:3].argmax()}


def test_a_model_of_ones_own_is_looked_at_and_left_as_it_was():
    torch.manual_seed(0)
    model = OwnLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def digest():
        held = [*model.state_dict().values(), torch.get_rng_state()]
        return [hashlib.sha256(t.numpy().tobytes()).hexdigest() for t in held], repr(optimizer.state_dict())

    before = digest()
    found = lrtool.range_test(
        model, Rows(), optimizer=optimizer, batch_size=16, duration=400, seeds=2, steps=40, quick=True, progress=False
    )
    assert 1e-4 < found.critical_lr < 10
    assert digest() == before
