"""What the first process announces to the others: texts and checkpoints, heard in the order in which they are said."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist

from lrtool.engine.loop.checkpoint import Checkpoint
from lrtool.engine.parallel.ranks import Ranks
from lrtool.engine.parallel.rollcall import waited


def announce(ranks: Ranks, what: Any) -> None:
    """Say to all others what comes next."""
    _place(ranks).say(pickle.dumps(what))


def heard(ranks: Ranks) -> Any:
    """What the first process announces next, however long that takes."""
    return pickle.loads(_place(ranks).hear())


def send_checkpoint(ranks: Ranks, checkpoint: Checkpoint) -> None:
    """Give the others a checkpoint, tensor by tensor; they may not see the folder that it stands in."""
    shapes = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in checkpoint.tensors.items()}
    announce(ranks, (shapes, replace(checkpoint, tensors={})))
    for tensor in checkpoint.tensors.values():
        ranks.spread(tensor.contiguous())


def received_checkpoint(ranks: Ranks) -> Checkpoint:
    """What `send_checkpoint` gives."""
    shapes, rest = heard(ranks)
    tensors = {name: ranks.spread(torch.empty(shape, dtype=dtype)) for name, (shape, dtype) in shapes.items()}
    found: Checkpoint = replace(rest, tensors=tensors)
    return found


class _Place:
    """Where the first process's announcements stand, numbered: a store, which may be asked for as long as it takes."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks, self._number = ranks, 0
        self._store = ranks.roll.store if ranks.roll is not None else None

    def say(self, data: bytes) -> None:
        self._number += 1
        if self._store is None:
            dist.broadcast_object_list([data], group=self._ranks.group, group_src=0)
        else:
            self._store.set(self._key, data)

    def hear(self) -> bytes:
        self._number += 1
        # The store may stand in the first process, and be gone with it.
        with self._ranks.together():
            if self._store is None:
                found: list[Any] = [None]
                dist.broadcast_object_list(found, group=self._ranks.group, group_src=0)
                return bytes(found[0])
            return waited(self._store, self._key)

    @property
    def _key(self) -> str:
        return f"lrtool/said/{self._number}"


def _place(ranks: Ranks) -> _Place:
    if "place" not in ranks.kept:
        ranks.kept["place"] = _Place(ranks)
    place: _Place = ranks.kept["place"]
    return place
