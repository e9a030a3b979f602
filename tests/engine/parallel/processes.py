"""Several processes that train together, forked from the test: quick to start, and none outlives its time."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lrtool.engine.parallel import joining
from lrtool.engine.parallel.ranks import Ranks

#: Seconds after which what is still at work has failed.
LIMIT = 90


def together(
    folder: Path, size: int, work: Callable[[Ranks], Any], limit: float = LIMIT, timeout: float = 60
) -> list[Any]:
    """What `work(ranks)` returns, or raises, in each of `size` processes; None of one that died or hung."""
    context, receivers, processes = multiprocessing.get_context("fork"), [], []
    for rank in range(size):
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(folder, rank, size, work, sender, timeout), daemon=True)
        process.start()
        sender.close()
        receivers.append(receiver)
        processes.append(process)
    try:
        return [_received(receiver, limit) for receiver in receivers]
    finally:
        for process in processes:
            process.kill()
            process.join(10)


def _received(receiver: Any, limit: float) -> Any:
    try:
        return pickle.loads(receiver.recv_bytes()) if receiver.poll(limit) else None
    except EOFError:
        return None


def _run(folder: Path, rank: int, size: int, work: Any, sender: Any, timeout: float) -> None:
    torch.set_num_threads(1)
    os.environ["LRTOOL_RANK_TIMEOUT"] = str(timeout)
    store = torch.distributed.FileStore(str(folder / "store"), size)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=size)
    # One that is done must not be gone before the others have found it.
    torch.distributed.barrier()
    try:
        found = work(joining.join_script())
    except BaseException as error:
        found = error
    # As bytes: tensors would be lent by a process that ends.
    sender.send_bytes(pickle.dumps(found))
    sender.close()
    os._exit(0)
