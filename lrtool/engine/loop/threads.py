"""The number of torch threads that train one model on a CPU.

The threads of one operator wait for each other by spinning. On an idle machine that gains nothing where operators
are small; where other programs want the same cores it makes them tens of times slower.
"""

from __future__ import annotations

import torch
from torch import nn

from lrtool.engine.cost.work import work_of
from lrtool.tasks.base import Task

#: What a forward pass does at most where one thread is as good as all. On two idle cores the second one makes an update
#: 0.9 to 1.1 times as fast up to here, and 1.2 times with twice as much to compute (MLPs, CNNs, a GRU, a transformer).
_FLOPS = 30e6
_BYTES = 16 * 2**20
#: Models with more parameters (bytes) than this are never looked at: a copy of them is not free.
_PARAMETERS = 8 * 2**20


def worthwhile_threads(task: Task, model: nn.Module, device: torch.device) -> int:
    """One thread for small models on a CPU, else as many as torch has.

    It goes by what a forward pass of a first batch does, not by time, so that the same run rounds in the same way
    every time. A model that cannot be looked at gets all threads.
    """
    threads = torch.get_num_threads()
    held = sum(p.numel() * p.element_size() for p in model.parameters())
    if device.type != "cpu" or threads == 1 or held > _PARAMETERS:
        return threads
    try:
        work = work_of(task, model, device)
    except Exception:
        # Training it will fail in the same way, and say where.
        return threads
    return 1 if work.flops <= _FLOPS and work.bytes <= _BYTES else threads
