"""Devices by name."""

from __future__ import annotations

import pytest
import torch

from lrtool.engine.device import available_devices, flushed_denormals, resolve_device
from lrtool.errors import UsageError


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with a CPU only, to which tests may add devices."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    return monkeypatch


def with_cuda(machine: pytest.MonkeyPatch, count: int) -> None:
    machine.setattr(torch.cuda, "is_available", lambda: True)
    machine.setattr(torch.cuda, "device_count", lambda: count)


def test_auto_prefers_cuda_then_mps_then_cpu(machine: pytest.MonkeyPatch) -> None:
    assert resolve_device("auto") == torch.device("cpu")
    machine.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("mps")
    with_cuda(machine, 2)
    assert resolve_device("auto") == torch.device("cuda:0")
    assert available_devices() == ["cuda:0", "cuda:1", "mps", "cpu"]


@pytest.mark.parametrize(("name", "index"), [("cuda", 0), ("cuda:0", 0), ("cuda:1", 1)])
def test_cuda_by_index(machine: pytest.MonkeyPatch, name: str, index: int) -> None:
    with_cuda(machine, 2)
    assert resolve_device(name) == torch.device("cuda", index)


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps"])
def test_a_device_that_is_not_there_is_an_error_that_says_what_is(machine: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(UsageError, match=rf"device: this machine has no device '{name}', only: cpu; write auto"):
        resolve_device(name)


def test_a_gpu_beyond_the_last_is_an_error(machine: pytest.MonkeyPatch) -> None:
    with_cuda(machine, 2)
    with pytest.raises(UsageError, match="no device 'cuda:2', only: cuda:0, cuda:1, cpu"):
        resolve_device("cuda:2")


@pytest.mark.parametrize("name", ["", "gpu", "cpu:0", "cuda:", "cuda:x", "cuda:-1", "mps:1", "CPU"])
def test_an_unknown_name_is_an_error(name: str) -> None:
    with pytest.raises(UsageError, match="write auto, cpu, cuda, cuda:N or mps"):
        resolve_device(name)


def test_denormals_are_zero_inside_and_as_before_outside() -> None:
    tiny = torch.tensor(1e-39)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush denormals")
    torch.set_flush_denormal(False)
    with flushed_denormals():
        assert tiny * 1 == 0
        with flushed_denormals():
            assert tiny * 1 == 0
        assert tiny * 1 == 0
    assert tiny * 1 != 0
    with pytest.raises(ZeroDivisionError), flushed_denormals():
        raise ZeroDivisionError
    assert tiny * 1 != 0
