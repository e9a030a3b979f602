"""How processes find each other, and which device each takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lrtool.engine import device
from lrtool.engine.parallel import joining
from lrtool.engine.parallel.ranks import ALONE, Ranks
from lrtool.errors import UsageError
from tests.engine.parallel.processes import together


def test_those_of_a_script(tmp_path: Path) -> None:
    def work(ranks: Ranks) -> Any:
        inside = joining.current() is ranks, joining.in_script(), ranks.scripted
        joining.part(ranks)
        return ranks.rank, inside, joining.current() is ALONE, torch.distributed.is_initialized()

    assert together(tmp_path, 2, work) == [(rank, (True, True, True), True, True) for rank in range(2)]
    assert not joining.in_script()


@pytest.mark.parametrize("text", ["soon", "0", "-3", "nan"])
def test_a_time_limit_that_is_none(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("LRTOOL_RANK_TIMEOUT", text)
    with pytest.raises(UsageError, match=f"LRTOOL_RANK_TIMEOUT: .*{text}"):
        joining.timeout()


@pytest.fixture
def third_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "_current", Ranks(2, 4))
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)


@pytest.mark.usefixtures("third_of_four")
class TestDevices:
    def gpus(self, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
        monkeypatch.setattr(device, "available_devices", lambda: [*(f"cuda:{n}" for n in range(count)), "cpu"])

    def test_each_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gpus(monkeypatch, 4)
        assert device.resolve_device("auto") == torch.device("cuda:2")
        assert device.resolve_device("cpu") == torch.device("cpu")

    def test_more_processes_than_gpus(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gpus(monkeypatch, 2)
        with pytest.raises(UsageError, match="4 processes were started here, but this machine has 2 GPUs"):
            device.resolve_device("auto")

    def test_without_gpus(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gpus(monkeypatch, 0)
        assert device.resolve_device("auto") == torch.device("cpu")
        with pytest.raises(UsageError, match=r"this machine has 0 GPUs.*write device: cpu"):
            device.resolve_device("cuda")

    @pytest.mark.parametrize("name", ["cuda:1", "mps", "tpu"])
    def test_one_device_for_all(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.gpus(monkeypatch, 4)
        with pytest.raises(UsageError, match=f"needs a device of its own, but got '{name}'"):
            device.resolve_device(name)
