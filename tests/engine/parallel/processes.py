"""Several processes that train together: forked from the test, which starts quickly, or started as a launcher does.

None outlives its time.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
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


@contextlib.contextmanager
def started(folder: Path, size: int, *command: str, timeout: float = 60) -> Iterator[list[subprocess.Popen[str]]]:
    """The processes of one Python command line, which know of each other as a launcher tells them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {**environment(), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size), "LRTOOL_RANK_TIMEOUT": str(timeout)}
    processes = [
        subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait(10)


def launched(folder: Path, size: int, *command: str, limit: float = LIMIT) -> list[subprocess.CompletedProcess[str]]:
    """What each of `size` processes of a Python command line returned."""
    with started(folder, size, *command) as processes:
        ended = [(process, *process.communicate(timeout=limit)) for process in processes]
    return [subprocess.CompletedProcess(command, process.returncode, out, err) for process, out, err in ended]


def environment() -> dict[str, str]:
    """That of a process of ours: it finds lrtool where the tests do, and has one thread."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"}
