"""Parameters grouped by their shapes, alone and stacked, and optimizers with a rule for each shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.trials import Recipe, Trial
from lrtool.engine.vector.engine import VectorEngine
from lrtool.errors import UsageError
from lrtool.optimizers import KINDS, Optimizer, ParamGroup
from lrtool.optimizers.parts.layers import Parameters
from lrtool.schedules import KINDS as SCHEDULES
from lrtool.tasks.base import Task
from lrtool.tasks.sources import TensorSource

KINDS.kinds  # noqa: B018 - what is defined below is not among them


def net() -> nn.Module:
    return nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)).double()


def task() -> Task:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(40, 6, generator=generator, dtype=torch.float64)
    return Task("t", net, TensorSource((inputs,), inputs[:, :3].argmax(1)), None, 8, nn.functional.cross_entropy)


def trials(lr: float) -> list[Trial]:
    curve = SCHEDULES["constant"]().bind(lr, 15)
    return [Trial(seed, 15, {"lr": curve}) for seed in range(3)]


def agree(optimizer: Optimizer, lr: float) -> None:
    alone = LoopEngine().run(task(), trials(lr), Recipe(optimizer))
    stacked = VectorEngine(compile=False).run(task(), trials(lr), Recipe(optimizer))
    for one, other in zip(alone, stacked, strict=True):
        np.testing.assert_allclose(one.train_loss, other.train_loss, rtol=1e-9)


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ({"ndim": 1}, ["1.bias", "3.bias"]),
        ({"ndim": 2}, ["3.weight"]),
        ({"min_ndim": 2}, ["1.weight", "3.weight"]),
        ({"match": "1.*", "ndim": 1}, ["1.bias"]),
        ({"match": "*.weight", "min_ndim": 3}, ["1.weight"]),
    ],
)
def test_a_group_is_of_names_and_shapes(group: dict[str, Any], names: list[str]) -> None:
    spec = KINDS["sgd"](lr=0.5, groups=(ParamGroup(lr_scale=0.1, **group),))
    model = net()
    optimizer = spec.build(model.named_parameters())
    parameters = dict(model.named_parameters())
    scaled = [parameter for each in optimizer.param_groups if each["lr_scale"] == 0.1 for parameter in each["params"]]
    assert [name for name in parameters if any(parameters[name] is each for each in scaled)] == names


@pytest.mark.parametrize("group", [{"ndim": 1}, {"ndim": 2}, {"min_ndim": 3}])
def test_a_stack_goes_by_the_shapes_of_the_model(group: dict[str, Any]) -> None:
    agree(KINDS["sgd"](lr=0.2, groups=(ParamGroup(lr_scale=0.1, weight_decay=0.5, **group),)), 0.2)


def test_an_impossible_group_is_refused() -> None:
    with pytest.raises(ValidationError, match="ndim or min_ndim, but got ndim 2 and min_ndim 1; leave one out"):
        ParamGroup(ndim=2, min_ndim=1)
    with pytest.raises(ValidationError, match=r"sgd has one rule for all parameters.*'muon'; leave it out"):
        KINDS["sgd"](lr=0.1, groups=(ParamGroup(ndim=2, rule="muon"),))


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ({"ndim": 4}, r"groups\.1\.ndim: no parameter has 4 dimensions; their shapes are: 1\.weight \(2, 1, 3\)"),
        (
            {"match": "*.bias", "min_ndim": 2},
            r"groups\.1\.min_ndim: no parameter that '\*\.bias' matches has at least 2",
        ),
        ({"match": "x", "ndim": 2}, r"groups\.1\.match: the pattern 'x' matches no parameter"),
    ],
)
def test_a_group_without_parameters_says_what_there_is(group: dict[str, Any], words: str) -> None:
    spec = KINDS["sgd"](lr=0.1, groups=(ParamGroup(match="1.*"), ParamGroup(**group)))
    with pytest.raises(UsageError, match=words):
        spec.build(net().named_parameters())


class Signed(Optimizer):
    """Signs of the gradient for matrices, the gradient itself for all else."""

    rules: ClassVar[tuple[str, ...]] = ("plain", "sign")
    default_groups: ClassVar[tuple[ParamGroup, ...]] = (ParamGroup(min_ndim=2, lr_scale=0.5, rule="sign"),)

    kind: str = "signed"

    def torch_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        class Torch(torch.optim.Optimizer):
            @torch.no_grad()
            def step(self, closure: Any = None) -> None:
                for group in self.param_groups:
                    for p in group["params"]:
                        p -= group["lr"] * (p.grad.sign() if group["rule"] == "sign" else p.grad)

        return Torch(groups, {})

    def form(self, rule: str | None) -> Optimizer:
        return self if rule == "plain" else self.model_copy(update={"kind": "sign"})

    def init_state(self, param: Tensor) -> dict[str, Tensor]:
        return {}

    def update(
        self, param: Tensor, grad: Tensor, state: dict[str, Tensor], step: Tensor, h: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return param - h["lr"] * (grad.sign() if self.kind == "sign" else grad), state


def test_an_optimizer_has_rules_by_shape() -> None:
    agree(Signed(lr=0.05), 0.05)
    groups = {
        (g["rule"], g["lr_scale"]): len(g["params"]) for g in Signed(lr=1).build(net().named_parameters()).param_groups
    }
    assert groups == {("sign", 0.5): 2, ("plain", 1.0): 2}


def test_the_users_groups_come_before_the_optimizers() -> None:
    spec = Signed(lr=0.05, groups=(ParamGroup(match="3.*", lr_scale=0.1), ParamGroup(match="1.weight", rule="plain")))
    agree(spec, 0.05)
    # What a group of the user's leaves unsaid is the default group's; multipliers multiply.
    found = spec.placed(Parameters.of(net()))
    said = {name: (each.rule, each.lr_scale) for name, each in found.items()}
    assert said == {
        "1.weight": ("plain", 0.5),
        "1.bias": ("plain", 1.0),
        "3.weight": ("sign", 0.05),
        "3.bias": ("plain", 0.1),
    }
    with pytest.raises(ValidationError, match=r"signed has the rules plain, sign.*write rule: plain"):
        Signed(lr=0.1, groups=(ParamGroup(rule="muon"),))


def test_a_stackable_optimizer_without_a_stacked_form_fails_when_it_is_written() -> None:
    with pytest.raises(TypeError, match="`init_state` or `update`; write them, or stackable = False"):

        class Half(Optimizer):
            def torch_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
                raise AssertionError


def test_frozen_matrices_stay() -> None:
    def frozen() -> nn.Module:
        model = net()
        model[3].weight.requires_grad_(False)
        return model

    given = replace(task(), new_model=frozen)
    (alone,) = LoopEngine().run(given, trials(0.1)[:1], Recipe(Signed(lr=0.1)))
    (stacked,) = VectorEngine(compile=False).run(given, trials(0.1)[:1], Recipe(Signed(lr=0.1)))
    np.testing.assert_allclose(alone.train_loss, stacked.train_loss, rtol=1e-9)
