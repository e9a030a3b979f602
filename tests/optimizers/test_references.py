"""Optimizers that torch has no class of, against independent NumPy references written from the papers.

Random settings, extremes and zeros, and what moves with the step are those of the comparison with torch.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lrtool.optimizers import KINDS, ParamGroup
from tests.optimizers.test_random_settings import STEPS, Values, by_torch, gradients, initial, moving, settings, size

Array = NDArray[np.float64]
#: One update: weights, gradient, state, t = 1, 2, …, specification, values of this update.
Step = Callable[[Array, Array, dict[str, Array], int, Any, dict[str, float]], Array]


def lion(w: Array, g: Array, s: dict[str, Array], t: int, spec: Any, h: dict[str, float]) -> Array:
    """Chen et al. 2023, program 1."""
    m = s.setdefault("m", np.zeros_like(w))
    step = np.sign(m * h["beta1"] + g * (1 - h["beta1"]))
    s["m"] = m * spec.beta2 + g * (1 - spec.beta2)
    return w - (step + w * h["weight_decay"]) * h["lr"]


def ademamix(w: Array, g: Array, s: dict[str, Array], t: int, spec: Any, h: dict[str, float]) -> Array:
    """Pagliardini et al. 2024, algorithm 1, with its schedulers of α and β₃."""
    b1, b2, b3, alpha = h["beta1"], spec.beta2, spec.beta3, spec.alpha
    if spec.slow_warmup:
        part = min(t / spec.slow_warmup, 1)
        alpha *= part
        if b3 > 0 and b1 > 0:
            start, end = math.log(b1), math.log(b3)
            b3 = min(math.exp(start * end / ((1 - part) * end + part * start)), b3)
        elif b3 > 0:
            b3 = b3 ** (1 / part)
    m1, m2, v = (s.setdefault(name, np.zeros_like(w)) for name in ("m1", "m2", "v"))
    s["m1"], s["m2"], s["v"] = b1 * m1 + (1 - b1) * g, b3 * m2 + (1 - b3) * g, b2 * v + (1 - b2) * g**2
    first, second = -math.expm1(t * math.log(b1)) if b1 else 1.0, -math.expm1(t * math.log(b2)) if b2 else 1.0
    step = (s["m1"] / first + alpha * s["m2"]) / (np.sqrt(s["v"] / second) + spec.eps)
    return w - h["lr"] * (step + h["weight_decay"] * w)


def by_numpy(step: Step, spec: Any, trial: int, values: Values) -> dict[str, Array]:
    placed = {"bias": spec.groups[0] if spec.groups else ParamGroup(), "weight": ParamGroup()}
    out = {}
    for name, parameter in initial(trial, torch.float64).named_parameters():
        w, state = parameter.detach().numpy().copy(), {}
        for t, (row, grads) in enumerate(zip(values, gradients(trial, torch.float64), strict=True), start=1):
            h = {**row, "lr": row["lr"] * placed[name].lr_scale}
            if placed[name].weight_decay is not None:
                h["weight_decay"] = placed[name].weight_decay
            w = step(w, grads[name].numpy(), state, t, spec, h)
        out[name] = w
    return out


@pytest.mark.parametrize("step", [lion, ademamix], ids=["lion", "ademamix"])
def test_random_settings_equal_the_paper(step: Step) -> None:
    proofs = 0
    for number, spec in enumerate(settings(step.__name__, 8, seed=2)):
        values = moving(spec, random.Random(number), torch.float64)
        got, near = (by_torch(spec, 0, values, torch.float64, roundings) for roundings in (0, 8))
        for name, expected in by_numpy(step, spec, 0, values).items():
            wanted = torch.from_numpy(expected)
            allowed = 1e-10 * size(wanted) + 10 * size(got[name] - near[name])
            assert not ((got[name] - wanted).abs() > allowed).any(), (spec, name)
            proofs += bool((allowed <= 1e-9 * size(wanted)).all())
    assert proofs >= 12


def hidden(spec: Any, dtype: torch.dtype, own: bool, values: Values) -> Tensor:
    """A matrix after training by Muon: lrtool's, or torch's own."""
    module = nn.Linear(3, 4, bias=False).to(dtype)
    with torch.no_grad():
        module.weight.copy_(initial(0, dtype).weight)
    optimizer: torch.optim.Optimizer
    if own:
        optimizer = spec.build(module)
    else:
        muon: Any = torch.optim.Muon
        names = ("weight_decay", "momentum", "nesterov", "ns_steps")
        fields = {name: getattr(spec, name) for name in names}
        optimizer = muon(module.parameters(), lr=spec.lr, adjust_lr_fn=spec.adjust_lr, **fields)
    for row, grads in zip(values, gradients(0, dtype), strict=True):
        module.weight.grad = grads["weight"].clone()
        if own:
            spec.apply(optimizer, row["lr"], {key: value for key, value in row.items() if key != "lr"})
        else:
            optimizer.param_groups[0].update({key: value for key, value in row.items() if key != "beta1"})
        optimizer.step()
    return module.weight.detach()


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
def test_muon_is_torchs_in_the_weights_own_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    # torch iterates in bfloat16; told not to, it must do the same. It divides its copy in place.
    monkeypatch.setattr(Tensor, "bfloat16", lambda self: self.clone())
    for number, spec in enumerate(settings("muon", 8, seed=3)):
        given = spec.model_copy(update={"groups": (ParamGroup(rule="muon"),)})
        values = moving(given, random.Random(number), torch.float64)
        got, expected = (hidden(given, torch.float64, own, values) for own in (True, False))
        assert not ((got - expected).abs() > 1e-9 * size(expected)).any(), spec


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
def test_muon_is_near_torchs_as_it_is() -> None:
    spec = KINDS["muon"](lr=0.01, groups=(ParamGroup(rule="muon"),))
    values = [{"lr": 0.01, **spec.hyperparameters()}] * STEPS
    got, expected = (hidden(spec, torch.float32, own, values) for own in (True, False))
    assert (got - expected).norm() < 0.05 * expected.norm()
