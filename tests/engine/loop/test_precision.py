"""Autocast and loss scales; whole trainings in bf16 and fp16 are in the loop engine's tests."""

from __future__ import annotations

import torch
from torch import nn

from lrtool.engine.loop.precision import Precision

CPU = torch.device("cpu")


def of(name: str) -> tuple[Precision, nn.Linear]:
    model = nn.Linear(3, 2)
    return Precision(name, CPU, torch.optim.SGD(model.parameters(), 0.1)), model  # type: ignore[arg-type]


def test_fp32_leaves_everything_as_it_is() -> None:
    precision, model = of("fp32")
    with precision.autocast():
        assert model(torch.ones(1, 3)).dtype == torch.float32
    before = model.weight.clone()
    precision.backward(model(torch.ones(1, 3)).sum())
    precision.unscale()
    assert precision.step() and precision.state() is None
    torch.testing.assert_close(model.weight, before - 0.1 * torch.ones(2, 3))


def test_bf16_computes_in_half_precision_without_a_scale() -> None:
    precision, model = of("bf16")
    with precision.autocast():
        assert model(torch.ones(1, 3)).dtype == torch.bfloat16
    assert precision.scaler is None and model.weight.dtype == torch.float32


def test_fp16_brings_gradients_to_their_true_size() -> None:
    precision, model = of("fp16")
    precision.backward(model(torch.ones(1, 3)).sum())
    assert model.weight.grad is not None and model.weight.grad.max() > 1000
    precision.unscale()
    torch.testing.assert_close(model.weight.grad, torch.ones(2, 3))
    assert precision.step()


def test_an_update_that_overflows_is_skipped_and_the_scale_halved() -> None:
    precision, model = of("fp16")
    before, scale = model.weight.clone(), precision.scaler.get_scale()
    precision.backward(model(torch.full((1, 3), torch.inf)).sum())
    assert not precision.step()
    assert torch.equal(model.weight, before) and precision.scaler.get_scale() == scale / 2


def test_the_scale_is_restored() -> None:
    precision, model = of("fp16")
    precision.backward(model(torch.full((1, 3), torch.inf)).sum())
    precision.step()
    other, _ = of("fp16")
    other.restore(precision.state())
    assert other.scaler.get_scale() == precision.scaler.get_scale()
