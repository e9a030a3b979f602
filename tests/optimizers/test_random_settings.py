"""Every stackable optimizer against torch's own, over random settings, extremes and zeros included.

Nothing here names an optimizer or a field: both are read off the registry, so a new one is covered by being there.
Some settings amplify rounding (a large weight decay under steps of one size goes to and fro around 0), so what is
allowed counts how far torch's own result moves when the weights start a few roundings away.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from torch import Tensor, nn

from conftest import DEEP
from lrtool.config.load import load_config
from lrtool.errors import UsageError
from lrtool.optimizers import KINDS, Optimizer, ParamGroup
from lrtool.optimizers.parts.layers import Parameters

STEPS, SETTINGS, TRIALS = 200, 14 if DEEP else 6, 2
#: Comparisons that are to be proofs, of two for each trial: what diverges, or amplifies rounding without end, is none.
PROOFS = round(0.78 * 2 * SETTINGS * TRIALS)
STACKABLE = [kind for kind, spec in KINDS.kinds.items() if spec.stackable]
#: Tolerance against torch, by precision, besides what rounding is amplified to.
PRECISIONS = [
    pytest.param(torch.float64, 1e-10, id="float64"),
    pytest.param(torch.float32, 2e-5, id="float32", marks=pytest.mark.deep),
]
#: Fields of every optimizer that other tests are about; an LR is drawn by itself.
NOT_DRAWN = ("kind", "lr", "groups", "layer_decay")
Values = list[dict[str, float]]


def bounds(field: FieldInfo) -> dict[str, float]:
    """What a field's annotations say: ge, gt, le, lt."""
    found = {}
    for rule in field.metadata:
        found |= {
            name: getattr(rule, name) for name in ("ge", "gt", "le", "lt") if getattr(rule, name, None) is not None
        }
    return found


def inside(field: FieldInfo, draw: random.Random) -> Any:
    """A value that a field takes: its ends, values just inside them, and everything between."""
    if field.annotation is bool:
        return draw.random() < 0.5
    if names := get_args(field.annotation):
        return draw.choice(names)
    rule = bounds(field)
    if field.annotation is int:
        return draw.randint(rule["ge"], rule["le"])
    low, high = rule.get("ge", rule.get("gt", 0.0)), rule.get("le", rule.get("lt", math.inf))
    at_ends = [value for name, value in rule.items() if name in ("ge", "le")]
    if math.isinf(high):
        sizes = [low + 10 ** draw.uniform(-12, -4), low + 10 ** draw.uniform(-4, 0), low + 10 ** draw.uniform(0, 2)]
        return draw.choice([*at_ends, *at_ends, *sizes])
    # Closer to 1, torch's own 1 − βᵗ has fewer than 10 digits.
    near = 10 ** -draw.uniform(1, 5)
    return draw.choice([*at_ends, low + near * (high - low), high - near * (high - low), draw.uniform(low, high)])


def settings(kind: str, count: int, seed: int = 0) -> Iterator[Optimizer]:
    """Random specifications; what the fields forbid together is drawn again."""
    draw = random.Random(f"{kind} {seed}")
    fields = {name: field for name, field in KINDS[kind].model_fields.items() if name not in NOT_DRAWN}
    made = 0
    while made < count:
        given = {name: inside(field, draw) for name, field in fields.items() if draw.random() < 0.8}
        scale, decay = draw.choice([0, 0.1, 3]), draw.choice([None, 0, 0.1])
        groups = draw.choice([(), (ParamGroup(match="b*", lr_scale=scale, weight_decay=decay),)])
        if KINDS[kind].rules:
            # The only matrix there is would be an output layer's.
            groups += (ParamGroup(match="weight", rule=draw.choice(KINDS[kind].rules)),)
        try:
            yield KINDS[kind](lr=10 ** draw.uniform(-5, -1), groups=groups, **given)
            made += 1
        except ValidationError:
            continue


def moving(spec: Optimizer, draw: random.Random, dtype: torch.dtype) -> Values:
    """LR and scheduled hyperparameters at every update: fixed, in waves, or off and on again, each by itself."""
    columns = {"lr": spec.lr, **spec.hyperparameters()}
    rows: Values = [{} for _ in range(STEPS)]
    for name, value in columns.items():
        field = type(spec).model_fields[name]
        peak = value or (0.0 if draw.random() < 0.5 else inside(field, draw))
        shape = draw.choice(["fixed", "wave", "off then on", "on then off", "blocks"])
        on = {
            "fixed": lambda step: 1.0,
            "wave": lambda step: 0.5 - 0.5 * math.cos(step / 9),
            "off then on": lambda step: float(step >= 30),
            "on then off": lambda step: float(step < 30),
            "blocks": lambda step: float(step // 20 % 2),
        }[shape]
        # As a stack holds them: torch is given the same.
        held = torch.tensor([peak * on(step) for step in range(STEPS)], dtype=dtype).tolist()
        for row, now in zip(rows, held, strict=True):
            row[name] = now
    return rows


@cache
def gradients(trial: int, dtype: torch.dtype) -> list[dict[str, Tensor]]:
    """Gradients of every size: some exactly 0 at times or always, some constant, some very large."""
    generator = torch.Generator().manual_seed(trial)
    out = []
    for step in range(STEPS):
        weight = torch.randn(4, 3, generator=generator, dtype=torch.float64)
        bias = torch.randn(4, generator=generator, dtype=torch.float64)
        bias[0] = 0.0
        weight[0] *= step >= 40
        weight[1] *= 1e6
        weight[2] *= 1e-12
        bias[1] *= step % 3 == 0
        out.append({"weight": weight.to(dtype), "bias": bias.to(dtype)})
    return out


def initial(trial: int, dtype: torch.dtype) -> nn.Module:
    torch.manual_seed(trial)
    return nn.Linear(3, 4).to(dtype)


def by_torch(spec: Optimizer, trial: int, values: Values, dtype: torch.dtype, roundings: int = 0) -> dict[str, Tensor]:
    """One trial under torch's optimizer, as the loop engine drives it; its weights start some roundings away."""
    module = initial(trial, dtype)
    for parameter in module.parameters():
        parameter.data *= 1 + roundings * torch.finfo(dtype).eps
    optimizer = spec.build(module.named_parameters())
    for row, grads in zip(values, gradients(trial, dtype), strict=True):
        for name, parameter in module.named_parameters():
            parameter.grad = grads[name].clone()
        now = dict(row)
        spec.apply(optimizer, now.pop("lr"), now)
        optimizer.step()
    return {name: parameter.detach() for name, parameter in module.named_parameters()}


def stacked(spec: Optimizer, values: list[Values], dtype: torch.dtype) -> dict[str, Tensor]:
    """All trials in one stack, as the vector engine drives it."""
    modules = [initial(trial, dtype) for trial in range(len(values))]
    params = {name: torch.stack([m.get_parameter(name).detach() for m in modules]) for name in ("weight", "bias")}
    placed = spec.placed(Parameters.of(modules[0]))
    forms = {name: spec.form(placed[name].rule) for name in params}
    states = {name: forms[name].init_state(param) for name, param in params.items()}
    grads = [gradients(trial, dtype) for trial in range(len(values))]
    for step in range(STEPS):
        for name, param in params.items():
            shape = (len(values),) + (1,) * (param.ndim - 1)
            rows = [each[step] for each in values]
            h = {key: torch.tensor([row[key] for row in rows], dtype=dtype).view(shape) for key in rows[0]}
            h["lr"] = h["lr"] * placed[name].lr_scale
            if (own := placed[name].weight_decay) is not None:
                h["weight_decay"] = torch.full_like(h["lr"], own)
            done = torch.full(shape, float(step), dtype=dtype)
            grad = torch.stack([each[step][name] for each in grads])
            params[name], states[name] = forms[name].update(param, grad, states[name], done, h)
    return params


@pytest.mark.parametrize(("dtype", "rtol"), PRECISIONS)
@pytest.mark.parametrize("kind", STACKABLE)
def test_random_settings_equal_torch(kind: str, dtype: torch.dtype, rtol: float) -> None:
    proofs = 0
    for number, spec in enumerate(settings(kind, SETTINGS)):
        draw = random.Random(number)
        values = [moving(spec, draw, dtype) for _ in range(TRIALS)]
        together = stacked(spec, values, dtype)
        for trial in range(TRIALS):
            expected, near = (by_torch(spec, trial, values[trial], dtype, roundings) for roundings in (0, 8))
            for name, got in together.items():
                allowed = rtol * size(expected[name]) + 10 * size(expected[name] - near[name])
                assert (got[trial].isfinite() == expected[name].isfinite()).all(), (spec, trial, name)
                assert not ((got[trial] - expected[name]).abs() > allowed).any(), (spec, trial, name)
                proofs += bool((allowed <= 10 * rtol * size(expected[name])).all())
    assert proofs >= PROOFS


def size(parameter: Tensor) -> Tensor:
    """The largest magnitude of each row; of all of a vector, whose entries may come close to 0 by chance."""
    return parameter.abs().amax(-1, keepdim=True)


def refused(kind: str) -> Iterator[dict[str, Any]]:
    """Values beyond what fields say, and numbers that are none, one field at a time."""
    for name, field in KINDS[kind].model_fields.items():
        if name in ("kind", "groups", "layer_decay") or field.annotation is bool:
            continue
        rule = bounds(field)
        beyond = [rule[key] for key in ("gt", "lt") if key in rule]
        beyond += [rule[key] - 0.1 for key in ("ge",) if key in rule] + [
            rule[key] * 1.1 + 0.1 for key in ("le",) if key in rule
        ]
        for value in (*beyond, math.nan, math.inf, -math.inf, True, "a lot", None, [0.1]):
            yield {"lr": 0.1, name: value}
    yield {"lr": 0.1, "groups": [{"match": "*", "lr_scale": math.inf}]}
    yield {"lr": 0.1, "groups": [{"match": "*", "weight_decay": math.nan}]}


@pytest.mark.parametrize("kind", STACKABLE)
def test_what_is_out_of_bounds_is_refused_in_words(kind: str) -> None:
    for fields in refused(kind):
        written = json.dumps({"kind": kind, **fields}).replace("Infinity", ".inf").replace("NaN", ".nan")
        with pytest.raises(UsageError, match=rf"optimizer\.{list(fields)[-1]}"):
            load_config(Path("configs/digits-mlp.yaml"), [f"optimizer={written}"])


@pytest.mark.parametrize("kind", STACKABLE)
def test_torch_takes_what_is_not_refused(kind: str) -> None:
    for spec in settings(kind, 100, seed=1):
        spec.build(nn.Linear(2, 1).named_parameters())
