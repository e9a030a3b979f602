"""Processes of this machine: as many as there are GPUs, each with one of its own."""

from __future__ import annotations

import os
import time
from collections import Counter

import pytest
import torch

from lrtool.executors import Requirements, unasked
from lrtool.executors.local import LocalProcesses, cores, gpus


def visible(job, report) -> None:
    """Report which GPUs this process may use, after a while, so that every process gets a job."""
    time.sleep(0.2)
    report((job, os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES")))


@pytest.fixture
def machine(monkeypatch):
    """A machine with so many GPUs, of which CUDA_VISIBLE_DEVICES may name some."""

    def with_gpus(count, visible=None):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    return with_gpus


@pytest.mark.parametrize(
    "count, visible, device, expected",
    [
        (2, None, "auto", ["0", "1"]),
        (2, "4,7", "cuda", ["4", "7"]),
        (2, "GPU-a,GPU-b", "auto", ["GPU-a", "GPU-b"]),
        (1, "3", "auto", ["3"]),
        (0, None, "auto", []),
        (2, None, "cuda:1", []),
        (2, None, "cpu", []),
    ],
)
def test_the_gpus_that_there_are(machine, count, visible, device, expected):
    machine(count, visible)
    assert gpus(device) == expected
    started = LocalProcesses.start(None, Requirements(device=device))
    assert started.workers == (len(expected) or cores())
    assert LocalProcesses.start(5, Requirements(device=device)).workers == 5


def test_one_gpu_is_not_worth_a_process_and_two_are(machine):
    machine(1)
    assert unasked(1e9, None, "cuda").in_this_process
    machine(2)
    assert unasked(1e9, None, "cuda").workers == 2


def test_each_process_has_a_gpu_of_its_own(machine):
    machine(2, "4,7")
    found: list[tuple[int, int, str]] = []
    executor = LocalProcesses.start(3, Requirements(device="auto"))
    executor.run(visible, range(6), found.append, lambda job, why: pytest.fail(why))
    assert len(found) == 6
    places = {process: gpu for _, process, gpu in found}
    assert len({(process, gpu) for _, process, gpu in found}) == len(places) == 3
    assert sorted(Counter(places.values()).items()) in ([("4", 2), ("7", 1)], [("4", 1), ("7", 2)])
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,7"
