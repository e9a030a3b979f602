"""How the processes that were started together find each other: as torchrun tells them, or as a script has done it."""

from __future__ import annotations

import os
from datetime import timedelta
from itertools import count

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from lrtool.engine.parallel.ranks import ALONE, Ranks
from lrtool.engine.parallel.rollcall import RollCall
from lrtool.engine.private import default_store
from lrtool.errors import UsageError

#: Seconds that a process waits for the others within an update, unless LRTOOL_RANK_TIMEOUT says.
_TIMEOUT = 300.0

_current = ALONE
#: How often a script's processes have joined: what they said before is not said again.
_times = count()


def current() -> Ranks:
    """Those that this process trains together with."""
    return _current


def timeout() -> float:
    """Seconds after which a process that does not answer ends the run; UsageError for what is no such number."""
    text = os.environ.get("LRTOOL_RANK_TIMEOUT", "")
    try:
        seconds = float(text or _TIMEOUT)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise UsageError(
            f"a time limit is a number of seconds above 0, but got {text!r}",
            where="LRTOOL_RANK_TIMEOUT",
            remedy="write for example LRTOOL_RANK_TIMEOUT=600",
        )
    return seconds


def join_launched() -> Ranks:
    """The processes that a launcher such as torchrun started; it tells them by RANK, WORLD_SIZE, MASTER_ADDR."""
    seconds = timeout()
    limit = timedelta(seconds=seconds)
    store, rank, size = next(rendezvous("env://", timeout=limit))
    dist.init_process_group(_backend(), store=store, rank=rank, world_size=size, timeout=limit)
    return _joined(Ranks(rank, size, group=dist.group.WORLD, roll=RollCall(store, rank, size, seconds)))


def join_script() -> Ranks:
    """The processes of a user's own script, which has made their process group; a group of our own among them."""
    seconds = timeout()
    rank, size = dist.get_rank(), dist.get_world_size()
    group = dist.new_group(backend=_backend(), timeout=timedelta(seconds=seconds))
    store, number = default_store(), next(_times)
    own = dist.PrefixStore(f"lrtool-{number}", store) if store is not None else None  # type: ignore[attr-defined]
    return _joined(Ranks(rank, size, scripted=True, group=group, roll=RollCall(own, rank, size, seconds)))


def part(ranks: Ranks) -> None:
    """Let go of the others."""
    global _current
    _current = ALONE
    if ranks.alone or ranks.broken:
        return
    if ranks.group is dist.group.WORLD:
        dist.destroy_process_group()
    else:
        dist.destroy_process_group(ranks.group)


def in_script() -> bool:
    """Whether this process belongs to a group of several that its own script has made."""
    return bool(dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1)


def _joined(ranks: Ranks) -> Ranks:
    global _current
    _current = ranks
    return ranks


def _backend() -> str:
    """What talks for tensors of each device; what is said besides is on the CPU."""
    return "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"


def own_index() -> int:
    """Which of its machine's processes this is."""
    return int(os.environ.get("LOCAL_RANK", current().rank))


def launched_here() -> int:
    """How many processes were started on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", current().size))
