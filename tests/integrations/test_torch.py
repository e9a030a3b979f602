"""CurveLR: the curve, any number of groups, exact resume from the step alone, other people's trainers."""

import copy
import doctest
import io
import json
import pickle
import warnings

import numpy as np
import pytest
import torch
import yaml

from lrtool.errors import ScheduleError, UsageError
from lrtool.integrations import torch as subject
from lrtool.integrations.torch import CurveLR
from lrtool.schedules import KINDS


def parameter():
    return torch.nn.Parameter(torch.ones(2))


def sgd(lr=0.1, momentum=0.9, groups=1):
    return torch.optim.SGD([{"params": [parameter()]} for _ in range(groups)], lr=lr, momentum=momentum)


def advance(optimizer, scheduler, updates):
    """The LR of the first group at each of so many updates."""
    lrs = []
    for _ in range(updates):
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return lrs


def test_example():
    assert doctest.testmod(subject).failed == 0


@pytest.mark.parametrize("kind", sorted(set(KINDS.kinds) - {"table"}))
def test_every_update_runs_at_the_curve_and_past_the_end_at_the_final_value(kind):
    fields = {"kind": kind, "warmup": "10%"}
    optimizer = sgd(0.3)
    scheduler = CurveLR(optimizer, fields, steps=40)
    assert isinstance(scheduler, torch.optim.lr_scheduler.LRScheduler)
    curve = KINDS[kind](warmup="10%").bind(0.3, 40)
    assert advance(optimizer, scheduler, 45) == curve(np.arange(45)).tolist()
    assert scheduler.get_last_lr() == [curve(45)] == [curve(40)]


@pytest.mark.parametrize("given", ["cosine warmup=5", {"kind": "cosine", "warmup": 5}, KINDS["cosine"](warmup=5)])
def test_ways_to_write_a_schedule(given):
    optimizer = sgd()
    assert advance(optimizer, CurveLR(optimizer, given, 20), 20) == (
        KINDS["cosine"](warmup=5).bind(0.1, 20).table().tolist()
    )


def test_a_list_is_segments():
    optimizer = sgd(1.0)
    scheduler = CurveLR(optimizer, [{"kind": "constant", "duration": 2}, "linear"], 4)
    assert advance(optimizer, scheduler, 5) == [1.0, 1.0, 1.0, 0.5, 0.0]


@pytest.mark.parametrize(
    "text",
    [
        "kind: cosine\nwarmup: 5\n",
        "schedule: {kind: cosine, warmup: 5}\nbatch: 7\n",
        "model: mlp\ndata: digits\noptimizer: {kind: sgd, lr: 3}\nschedule: {kind: cosine, warmup: 5}\n",
    ],
    ids=["schedule", "section", "config"],
)
@pytest.mark.parametrize("as_text", [True, False])
def test_yaml_file(tmp_path, text, as_text):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    optimizer = sgd()
    scheduler = CurveLR(optimizer, str(file) if as_text else file, 20)
    assert advance(optimizer, scheduler, 20) == KINDS["cosine"](warmup=5).bind(0.1, 20).table().tolist()


def test_a_table_beside_its_file(tmp_path, monkeypatch):
    (tmp_path / "rates.csv").write_text("step,factor\n0,1\n1,0.5\n2,0\n")
    (tmp_path / "mine.yaml").write_text("kind: table\nfile: rates.csv\n")
    monkeypatch.chdir("/")
    optimizer = sgd(1.0)
    assert advance(optimizer, CurveLR(optimizer, tmp_path / "mine.yaml", 2), 3) == [1.0, 0.5, 0.0]


def test_durations_in_epochs():
    optimizer = sgd(1.0)
    scheduler = CurveLR(optimizer, "step every=1ep gamma=0.5", 6, steps_per_epoch=3)
    assert advance(optimizer, scheduler, 6) == [1.0] * 3 + [0.5] * 3
    with pytest.raises(ScheduleError, match=r"every.*epochs"):
        CurveLR(sgd(), "step every=1ep", 6)


def test_each_group_has_its_own_peak():
    optimizer = torch.optim.SGD([{"params": [parameter()], "lr": lr} for lr in (1.0, 0.5, 0.01)])
    scheduler = CurveLR(optimizer, {"kind": "linear", "final": "10%"}, 10)
    for t in range(12):
        expected = [KINDS["linear"](final="10%").bind(lr, 10)(t) for lr in (1.0, 0.5, 0.01)]
        assert [group["lr"] for group in optimizer.param_groups] == expected == scheduler.get_last_lr()
        optimizer.step()
        scheduler.step()


def test_lr_replaces_the_peaks_and_scales_stay():
    optimizer = torch.optim.SGD([{"params": [parameter()], "lr_scale": scale} for scale in (1.0, 0.25, 0.0)], lr=9.0)
    scheduler = CurveLR(optimizer, {"kind": "linear", "final": 0.1}, 10, lr=0.4)
    curve = KINDS["linear"](final=0.1).bind(0.4, 10)
    for t in range(12):
        assert scheduler.get_last_lr() == [curve(t), 0.25 * curve(t), 0.0]
        optimizer.step()
        scheduler.step()
    assert scheduler.base_lrs == [0.4, 0.1, 0.0]


def test_a_group_that_is_added_later_joins():
    optimizer = sgd(1.0)
    scheduler = CurveLR(optimizer, "linear", 10)
    advance(optimizer, scheduler, 3)
    optimizer.add_param_group({"params": [parameter()], "lr": 0.5})
    optimizer.step()
    scheduler.step()
    assert scheduler.get_last_lr() == pytest.approx([0.6, 0.3], rel=1e-15)
    other = sgd(1.0)
    other.add_param_group({"params": [parameter()], "lr": 0.5})
    resumed = CurveLR(other, "linear", 10)
    resumed.load_state_dict(scheduler.state_dict())
    assert resumed.get_last_lr() == scheduler.get_last_lr()


def test_lr_as_tensor_is_filled_in_place():
    lr = torch.tensor(1.0)
    optimizer = torch.optim.Adam([parameter()], lr=lr, capturable=False, foreach=False)
    scheduler = CurveLR(optimizer, "linear", 4)
    held = optimizer.param_groups[0]["lr"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler.step()
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] is held
    assert float(held) == 0.5


def test_one_cycle_drives_momentum():
    optimizer = sgd(1.0)
    scheduler = CurveLR(optimizer, "one_cycle", 20)
    curve = KINDS["one_cycle"]().bind_momentum(1.0, 20)
    for t in range(25):
        assert optimizer.param_groups[0]["momentum"] == curve(t)
        optimizer.step()
        scheduler.step()


def test_one_cycle_drives_beta1_and_leaves_beta2():
    optimizer = torch.optim.AdamW([parameter()], lr=1.0, betas=(0.9, 0.97))
    scheduler = CurveLR(optimizer, "one_cycle", 20)
    curve = KINDS["one_cycle"]().bind_momentum(1.0, 20)
    for t in range(25):
        assert optimizer.param_groups[0]["betas"] == (curve(t), 0.97)
        optimizer.step()
        scheduler.step()


def test_an_optimizer_without_momentum_is_left_alone():
    optimizer = torch.optim.Adagrad([parameter()], lr=1.0)
    CurveLR(optimizer, "one_cycle", 20)
    assert "momentum" not in optimizer.param_groups[0]


def test_schedules_for_momentum_and_weight_decay():
    optimizer = torch.optim.SGD([parameter()], lr=1.0, momentum=0.8, weight_decay=0.1)
    scheduler = CurveLR(optimizer, "cosine", 10, momentum="linear final=50%", weight_decay="linear")
    for t in range(12):
        group, left = optimizer.param_groups[0], max(10 - t, 0) / 10
        assert group["momentum"] == pytest.approx(0.4 + 0.4 * left, rel=1e-14)
        assert group["weight_decay"] == pytest.approx(0.1 * left, rel=1e-14)
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("stop", [0, 1, 2, 7, 19, 20, 30])
def test_resume_at_any_step_equals_never_stopping(stop):
    """Also mid-epoch: the state is the step, whatever it is a multiple of."""
    fields = {"kind": "one_cycle", "rise": "1ep"}
    optimizer = sgd(0.5, groups=2)
    scheduler = CurveLR(optimizer, fields, 20, steps_per_epoch=6)
    advance(optimizer, scheduler, stop)
    saved = io.BytesIO()
    torch.save({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}, saved)
    saved.seek(0)
    state = torch.load(saved, weights_only=True)
    resumed_optimizer = sgd(0.5, groups=2)
    resumed = CurveLR(resumed_optimizer, fields, 20, steps_per_epoch=6)
    resumed_optimizer.load_state_dict(state["optimizer"])
    resumed.load_state_dict(state["scheduler"])
    for _ in range(25):
        for ours, theirs in zip(resumed_optimizer.param_groups, optimizer.param_groups, strict=True):
            assert (ours["lr"], ours["momentum"]) == (theirs["lr"], theirs["momentum"])
        assert resumed.get_last_lr() == scheduler.get_last_lr()
        assert resumed.last_epoch == scheduler.last_epoch
        advance(optimizer, scheduler, 1)
        advance(resumed_optimizer, resumed, 1)


@pytest.mark.parametrize("kind", sorted(set(KINDS.kinds) - {"table"}))
def test_every_kind_resumes_from_json_at_every_step(kind):
    fields, steps = {"kind": kind, "warmup": 3}, 24
    optimizer = sgd(0.3)
    scheduler = CurveLR(optimizer, fields, steps)
    never_stopped = []
    states = []
    for _ in range(steps + 3):
        states.append(json.dumps(scheduler.state_dict()))
        never_stopped.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
        advance(optimizer, scheduler, 1)
    resumed_optimizer = sgd(0.3)
    resumed = CurveLR(resumed_optimizer, fields, steps)
    for stop, state in enumerate(states):
        resumed.load_state_dict(json.loads(state))
        for expected in never_stopped[stop : stop + 2]:
            group = resumed_optimizer.param_groups[0]
            assert (group["lr"], group["momentum"]) == expected
            advance(resumed_optimizer, resumed, 1)


def test_resume_without_the_optimizers_state():
    scheduler = CurveLR(sgd(), "one_cycle", 20)
    scheduler.load_state_dict({"last_epoch": 9, "fingerprint": scheduler.fingerprint()})
    assert scheduler.get_last_lr() == [KINDS["one_cycle"]().bind(0.1, 20)(9)]
    assert scheduler.optimizer.param_groups[0]["momentum"] == KINDS["one_cycle"]().bind_momentum(0.1, 20)(9)


def test_last_epoch_as_in_torch():
    optimizer = sgd(1.0)
    advance(optimizer, CurveLR(optimizer, "linear", 10), 4)
    assert CurveLR(optimizer, "linear", 10, last_epoch=3).get_last_lr() == [KINDS["linear"]().bind(1.0, 10)(4)]
    with pytest.raises(KeyError, match="initial_lr"):
        CurveLR(sgd(), "linear", 10, last_epoch=3)


def test_state_is_the_step_the_length_and_a_fingerprint():
    scheduler = CurveLR(sgd(), "cosine", 1000)
    expected = {"last_epoch": 0, "steps": 1000, "steps_per_epoch": None, "fingerprint": scheduler.fingerprint()}
    assert scheduler.state_dict() == expected


@pytest.mark.parametrize(
    ("fields", "then", "now"),
    [
        ("cosine", {"steps": 20}, {"steps": 40}),
        ("cosine", {"steps": 20}, {"steps": 8}),
        ("one_cycle", {"steps": 20}, {"steps": 50}),
        ({"kind": "cosine", "warmup": "2ep"}, {"steps": 20, "steps_per_epoch": 4}, {"steps": 60, "steps_per_epoch": 6}),
        ({"kind": "wsd", "warmup": 3}, {"steps": 20}, {"steps": 21}),
        ([{"kind": "linear", "duration": 5}, "cosine"], {"steps": 20}, {"steps": 30}),
    ],
)
def test_the_state_of_another_length_goes_on_on_the_new_curve(fields, then, now, caplog):
    optimizer = sgd()
    stopped = CurveLR(optimizer, fields, **then)
    advance(optimizer, stopped, 10)
    state = json.loads(json.dumps(stopped.state_dict()))
    optimizer = sgd()
    resumed = CurveLR(optimizer, fields, **now)
    resumed.load_state_dict(state)
    expected = CurveLR(sgd(), fields, **now)
    expected.step(10)
    assert resumed.get_last_lr() == expected.get_last_lr()
    assert optimizer.param_groups[0]["momentum"] == expected.optimizer.param_groups[0]["momentum"]
    advance(optimizer, resumed, 1)
    assert resumed.last_epoch == 11
    assert f"follows the curve of {now['steps']} updates; the state was saved on that of 20" in caplog.text


def test_a_state_that_does_not_say_its_length_goes_on_as_it_was():
    scheduler = CurveLR(sgd(), "cosine", 20)
    old = {"last_epoch": 7, "fingerprint": scheduler.fingerprint()}
    scheduler.load_state_dict(old)
    assert scheduler.last_epoch == 7
    with pytest.raises(UsageError, match="number of steps"):
        CurveLR(sgd(), "cosine", 21).load_state_dict(old)


@pytest.mark.parametrize(
    "other",
    [
        lambda: CurveLR(sgd(), "linear", 20),
        lambda: CurveLR(sgd(), "linear", 30),
        lambda: CurveLR(sgd(0.2), "cosine", 20),
        lambda: CurveLR(sgd(groups=2), "cosine", 20),
        lambda: CurveLR(sgd(), "cosine", 20, momentum="linear"),
    ],
    ids=["schedule", "schedule and steps", "lr", "groups", "momentum"],
)
def test_the_state_of_another_curve_is_refused(other):
    with pytest.raises(UsageError, match=r"another schedule.*last_epoch"):
        CurveLR(sgd(), "cosine", 20).load_state_dict(other().state_dict())


def test_the_state_of_another_scheduler_is_refused():
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(sgd(), 20)
    with pytest.raises(UsageError, match="not the state of a CurveLR"):
        CurveLR(sgd(), "cosine", 20).load_state_dict(theirs.state_dict())


def test_random_access():
    scheduler = CurveLR(sgd(), "cosine", 20)
    curve = KINDS["cosine"]().bind(0.1, 20)
    for t in (13, 2, 20, 0, 99):
        scheduler.step(t)
        assert scheduler.get_last_lr() == [curve(t)]
    with pytest.raises(ScheduleError, match="at least 0, but got -1"):
        scheduler.step(-1)
    assert scheduler.last_epoch == 99


def test_deepcopy_is_independent():
    optimizer = sgd()
    scheduler = CurveLR(optimizer, "one_cycle", 20)
    advance(optimizer, scheduler, 5)
    twin = copy.deepcopy(scheduler)
    advance(optimizer, scheduler, 5)
    assert twin.last_epoch == 5
    advance(twin.optimizer, twin, 5)
    assert twin.get_last_lr() == scheduler.get_last_lr()
    assert twin.optimizer is not optimizer


def test_pickle_goes_on_where_it_was():
    optimizer = torch.optim.AdamW([parameter()], lr=0.1)
    scheduler = CurveLR(optimizer, [{"kind": "one_cycle", "duration": 12}, "linear"], 20, weight_decay="cosine")
    advance(optimizer, scheduler, 5)
    twin = pickle.loads(pickle.dumps(scheduler))
    for _ in range(18):
        for name in ("lr", "betas", "weight_decay"):
            assert twin.optimizer.param_groups[0][name] == optimizer.param_groups[0][name]
        assert twin.state_dict() == scheduler.state_dict()
        advance(optimizer, scheduler, 1)
        advance(twin.optimizer, twin, 1)


def test_updates_that_a_loss_scaler_skips_do_not_move_it():
    optimizer = sgd(1.0)
    scheduler = CurveLR(optimizer, "linear", 10)
    used = []
    for update in range(10):
        overflowed = update % 3 == 2
        if not overflowed:
            used.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    assert used == KINDS["linear"]().bind(1.0, 10)(np.arange(len(used))).tolist()


def test_torch_warns_when_the_scheduler_goes_first():
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        CurveLR(sgd(), "linear", 10).step()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cosin", 10), "did you mean 'cosine'"),
        (("cosine finale=1%", 10), "did you mean 'final'"),
        (({"kind": "cosine", "final": -1}, 10), "schedule.final.*at least 0"),
        (("cosine", 0), "at least 1 update"),
        (("cosine final=1", 10), "final.*above the peak"),
        (("no/such.yaml", 10), "no such file"),
        ((7, 10), "cannot stand for a schedule"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(UsageError, match=message):
        CurveLR(sgd(), *arguments)


def test_bad_hyperparameters():
    with pytest.raises(UsageError, match="Adagrad has no momentum"):
        CurveLR(torch.optim.Adagrad([parameter()]), "cosine", 10, momentum="linear")
    with pytest.raises(UsageError, match="weight_decay, which is 0"):
        CurveLR(sgd(), "cosine", 10, weight_decay="linear")


def test_numbers_that_a_plain_yaml_reader_gives_as_text_are_numbers() -> None:
    plain = yaml.safe_load(
        "{kind: sequence, segments: [{kind: exponential, gamma: 9e-1, every: 1e0, final: 1e-5, duration: 1e1},"
        " {kind: cosine, final: 1e-5, warmup: 2e0, warmup_start: 1e-6}]}"
    )
    ours = {
        "kind": "sequence",
        "segments": [
            {"kind": "exponential", "gamma": 0.9, "every": 1, "final": 1e-5, "duration": 10},
            {"kind": "cosine", "final": 1e-5, "warmup": 2, "warmup_start": 1e-6},
        ],
    }
    assert plain["segments"][0]["final"] == "1e-5"
    lrs = []
    for schedule, lr, steps in ((plain, "1e-1", "2e1"), (ours, 0.1, 20)):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        scheduler = CurveLR(optimizer, schedule, steps=steps, lr=lr)  # type: ignore[arg-type]
        lrs.append([])
        for _ in range(20):
            lrs[-1].append(scheduler.get_last_lr()[0])
            optimizer.step()
            scheduler.step()
    assert lrs[0] == lrs[1] and lrs[0][0] == 0.1
