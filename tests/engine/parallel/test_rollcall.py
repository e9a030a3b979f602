"""A process that dies, hangs or fails ends the training of all: with its name, and with what was saved."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributed import HashStore

from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.parallel import rollcall
from lrtool.engine.parallel.ranks import Ranks
from lrtool.engine.parallel.rollcall import RollCall, is_of_the_connection
from lrtool.engine.trials import Recipe
from lrtool.errors import ExitCode, RankLost, TaskError
from lrtool.tasks.sources import Batch, DatasetSource
from tests.engine.contract import PLAIN, Recording, small_task, trial
from tests.engine.parallel.processes import together


class Trap:
    """A data set in which something happens in one of the processes, a few updates in."""

    def __init__(self, whole: Any, happens: Callable[[], Any]) -> None:
        self._whole, self._happens, self._taken = whole, happens, 0

    def __len__(self) -> int:
        return len(self._whole)

    def __getitem__(self, index: int) -> Any:
        self._taken += 1
        if self._taken == 40:
            self._happens()
        batch: Batch = self._whole.take(torch.tensor([index]))
        x: Tensor = batch.inputs[0][0]  # type: ignore[index]
        return x, batch.target[0]


def train_into_a_trap(happens: Callable[[], Any]) -> Callable[[Ranks], Any]:
    def work(ranks: Ranks) -> Any:
        task, told = small_task(val=False), Recording()
        data = Trap(task.train, happens if ranks.rank == 1 else int)
        engine = LoopEngine(ranks=ranks)
        try:
            engine.run(replace(task, train=DatasetSource(data)), [trial(0, 60, 0.1)], Recipe(PLAIN), told)
        except BaseException as error:
            ranks.failed(error)
            return error, [trace.status.value for trace in told.traces.values()]
        return None

    return work


def test_a_process_that_dies(tmp_path: Path) -> None:
    (error, status), other = together(tmp_path, 2, train_into_a_trap(lambda: os._exit(9)))
    assert other is None
    assert isinstance(error, RankLost) and error.exit_code is ExitCode.TERMINATED
    assert "process 1 (" in str(error) and "died" in str(error)
    assert status == ["interrupted"]


def test_a_process_that_hangs(tmp_path: Path) -> None:
    work = train_into_a_trap(lambda: time.sleep(10))
    (error, status), _ = together(tmp_path, 2, work, timeout=6)
    assert isinstance(error, RankLost)
    assert "process 1 (" in str(error) and "did not answer for 6 s" in str(error)
    assert status == ["interrupted"]


def test_a_process_whose_data_fail(tmp_path: Path) -> None:
    def fail() -> None:
        raise KeyError("sample 17")

    (error, status), (own, _) = together(tmp_path, 2, train_into_a_trap(fail))
    assert isinstance(own, TaskError) and "sample 17" in str(own)
    assert isinstance(error, TaskError) and "process 1 of 2 failed" in str(error) and "sample 17" in str(error)
    assert status == ["failed"]


def test_who_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollcall, "_ANSWER", 0.05)
    store = HashStore()
    rolls = [RollCall(store, rank, 4, 30.0) for rank in range(4)]
    broken = RuntimeError("Connection closed by peer [127.0.0.1]:999")
    rolls[3].missing(broken)
    assert str(rolls[0].missing(broken)).startswith("processes 1 (")
    assert rolls[0].silent(1) and not rolls[0].silent(3)
    rolls[1].leave_word(TaskError("no such file"))
    assert str(rolls[0].missing(broken)) == "process 1 of 4 failed: no such file"


def test_the_first_sees_the_others_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollcall, "_ANSWER", 30.0)
    rolls = [RollCall(HashStore(), 0, 1, 30.0)]
    rolls[0].see_off()
    store = HashStore()
    rolls = [RollCall(store, rank, 3, 30.0) for rank in range(3)]
    rolls[1].leave()
    rolls[2].leave()
    rolls[0].see_off()
    # Whoever does not leave is not waited for without end.
    monkeypatch.setattr(rollcall, "_ANSWER", 0.05)
    RollCall(HashStore(), 0, 2, 30.0).see_off()


def test_without_a_store_nobody_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollcall, "_ANSWER", 0.05)
    roll = RollCall(None, 0, 2, 30.0)
    roll.leave_word(TaskError("lost"))
    assert "process 1 of 2" in str(roll.missing(RuntimeError("Timed out waiting 30000ms")))


@pytest.mark.parametrize(
    ("text", "of_the_connection"),
    [
        ("[/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:36712", True),
        ("Timed out waiting 2000ms for recv operation to complete", True),
        ("NCCL communicator was aborted", True),
        ("mat1 and mat2 shapes cannot be multiplied (32x10 and 8x16)", False),
        ("CUDA out of memory. Tried to allocate 2.00 GiB", False),
    ],
)
def test_what_torch_says_of_a_connection(text: str, of_the_connection: bool) -> None:
    assert is_of_the_connection(RuntimeError(text)) is of_the_connection
