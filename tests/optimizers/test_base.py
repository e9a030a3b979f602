"""Specifications: fields, parameter groups, and what reaches torch's param groups."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from lrtool.errors import UsageError
from lrtool.optimizers import KINDS, ParamGroup


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


GROUPS = (ParamGroup(match="0.*", lr_scale=0.1), ParamGroup(match="*.bias", lr_scale=2, weight_decay=0.0))


def test_the_kinds_are_there() -> None:
    stackable = {kind: spec.stackable for kind, spec in KINDS.kinds.items()}
    # Others may be added.
    assert {
        **dict.fromkeys(("adagrad", "adam", "adamw", "rmsprop", "sgd"), True),
        **dict.fromkeys(("prodigy", "schedule_free_adamw", "schedule_free_sgd"), False),
    }.items() <= stackable.items()


@pytest.mark.parametrize("kind", KINDS.kinds)
def test_every_field_says_what_it_is(kind: str) -> None:
    fields = KINDS[kind].model_fields
    assert all(field.description for name, field in fields.items() if name != "kind")
    assert set(KINDS[kind].scheduled) <= fields.keys()
    assert KINDS[kind].momentum_key in (None, *KINDS[kind].scheduled)


@pytest.mark.parametrize("kind", ["adagrad", "adam", "adamw", "rmsprop", "sgd"])
def test_build_gives_torchs_optimizer(kind: str) -> None:
    optimizer = KINDS[kind](lr=0.1).build(net().named_parameters())
    assert isinstance(
        optimizer,
        getattr(torch.optim, {"sgd": "SGD", "rmsprop": "RMSprop", "adamw": "AdamW"}.get(kind, kind.capitalize())),
    )
    assert [(g["lr_scale"], g["lr"]) for g in optimizer.param_groups] == [(1.0, 0.1)]


def test_the_first_matching_group_wins() -> None:
    spec = KINDS["sgd"](lr=0.5, weight_decay=0.01, groups=GROUPS)
    optimizer = spec.build(net().named_parameters())
    got = [(len(g["params"]), g["lr"], g["lr_scale"], g["weight_decay"]) for g in optimizer.param_groups]
    assert got == [(2, 0.05, 0.1, 0.01), (1, 1.0, 2.0, 0.0), (1, 0.5, 1.0, 0.01)]


def test_apply_scales_the_lr_and_keeps_a_groups_own_weight_decay() -> None:
    spec = KINDS["adam"](lr=0.5, groups=GROUPS)
    optimizer = spec.build(net().named_parameters())
    spec.apply(optimizer, 0.2, {"beta1": 0.6, "weight_decay": 0.3})
    got = [(g["lr"], g["weight_decay"], g["betas"]) for g in optimizer.param_groups]
    assert got == [(0.2 * 0.1, 0.3, (0.6, 0.999)), (0.4, 0.0, (0.6, 0.999)), (0.2, 0.3, (0.6, 0.999))]


def test_a_group_that_matches_nothing_is_an_error() -> None:
    spec = KINDS["sgd"](lr=0.1, groups=(ParamGroup(match="encoder.*"),))
    with pytest.raises(UsageError, match=r"optimizer\.groups\.0\.match.*'encoder\.\*'.*0\.weight"):
        spec.build(net().named_parameters())


def test_frozen_parameters_are_left_out() -> None:
    module = net()
    module[0].requires_grad_(False)
    optimizer = KINDS["sgd"](lr=0.1).build(module.named_parameters())
    assert [len(g["params"]) for g in optimizer.param_groups] == [2]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("sgd", {"lr": 0}),
        ("sgd", {"lr": float("inf")}),
        ("sgd", {"lr": 0.1, "momentum": 1.0}),
        ("sgd", {"lr": 0.1, "nesterov": True}),
        ("sgd", {"lr": 0.1, "momentum": 0.9, "dampening": 0.1, "nesterov": True}),
        ("adam", {"lr": 0.1, "beta2": 1.5}),
        ("adamw", {"lr": 0.1, "weight_decay": -1}),
        ("rmsprop", {"lr": 0.1, "eps": 0}),
        ("adagrad", {"lr": 0.1, "momentum": 0.9}),
    ],
)
def test_bad_fields_are_refused(kind: str, fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        KINDS[kind](**fields)


def test_specifications_need_no_torch() -> None:
    code = "import sys; from lrtool.optimizers import KINDS; KINDS['adam'](lr=0.1); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_momentum_that_starts_at_zero_may_rise() -> None:
    # torch makes RMSprop's momentum buffer at the first update, and only where momentum is above 0 then.
    for kind in ("sgd", "rmsprop"):
        spec, module = KINDS[kind](lr=0.1), net()
        optimizer = spec.build(module.named_parameters())
        for momentum in (0.0, 0.5):
            spec.apply(optimizer, 0.1, {"momentum": momentum, "weight_decay": 0.0})
            module(torch.ones(1, 2)).sum().backward()
            optimizer.step()
        assert all(p.isfinite().all() for p in module.parameters())
