# ruff: noqa: NPY002 - users draw from numpy's global state, so that is what must be seeded and kept
"""What a data set draws at random: for each sample a pure function of (seed, epoch, index).

So it does not matter which samples were taken before, in which process, or how often the training was stopped: nothing
is replayed or skipped through. Covers torch's, numpy's and Python's global states, and the generators that a data set
or its transforms keep for themselves.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

#: How deep, how far into a list, and at how many objects a data set is searched for generators of its own.
_DEPTH, _WIDTH, _MOST = 4, 64, 5_000


class Draw(NamedTuple):
    """For whom samples are drawn: a trial's seed and the epoch.

    `place`: of the first one among those of its epoch, where a sample may come several times in one; else None.
    """

    seed: int = 0
    epoch: int = -1
    place: int | None = None

    def word(self, index: int, number: int = 0) -> int:
        """64 bits for a sample: a hash of seed, epoch and index, and of its place, `number` after the first.

        >>> Draw(0, 1).word(5) == Draw(0, 1).word(5, 3), Draw(0, 1).word(5) == Draw(0, 2).word(5)
        (True, False)
        """
        place = -1 if self.place is None else self.place + number
        text = struct.pack("<Qqqq", self.seed % 2**64, self.epoch, index, place)
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


#: For what belongs to no training: validation, first looks.
UNTRAINED = Draw()


def seed_host(word: int) -> None:
    """Seed every global state on the host: torch's, numpy's and Python's."""
    import torch

    torch.default_generator.manual_seed(word)
    np.random.seed(word & 0xFFFFFFFF)
    random.seed(word)


@contextlib.contextmanager
def host_preserved() -> Iterator[None]:
    """Whatever is drawn inside, the global states on the host afterwards are those from before."""
    import torch

    # As the libraries give them: to make tensors of them, as a checkpoint needs, takes longer than all else here.
    torchs, numpys, pythons = torch.get_rng_state(), np.random.get_state(legacy=False), random.getstate()
    try:
        yield
    finally:
        torch.set_rng_state(torchs)
        np.random.set_state(numpys)
        random.setstate(pythons)


@contextlib.contextmanager
def drawn_by(word: int) -> Iterator[None]:
    """Inside, all is drawn by this word; the global states afterwards are those from before."""
    with host_preserved():
        seed_host(word)
        yield


def seed_sample(word: int, own: list[Any]) -> None:
    """Seed what a sample is drawn from: the global states, and generators of the data set's `own`."""
    seed_host(word)
    for each in own:
        _reseed(each, word)


def generators_of(value: Any) -> list[Any]:
    """The random generators that an object, or what it is made of, keeps for itself."""
    found: list[Any] = []
    _search(value, _DEPTH, found, set())
    return found


def _search(value: Any, depth: int, found: list[Any], seen: set[int]) -> None:
    import torch

    plain = str | bytes | int | float | np.ndarray | torch.Tensor | type
    if id(value) in seen or len(seen) >= _MOST or isinstance(value, plain):
        return
    seen.add(id(value))
    if isinstance(value, np.random.Generator | np.random.RandomState | random.Random | torch.Generator):
        found.append(value)
    elif depth:
        for part in _parts(value):
            _search(part, depth - 1, found, seen)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [*value[:_WIDTH]]
    inside = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    return [*islice(inside.values(), _WIDTH)] if isinstance(inside, dict) else []


def _reseed(generator: Any, word: int) -> None:
    import torch

    match generator:
        case torch.Generator():
            generator.manual_seed(word)
        case np.random.RandomState():
            generator.seed(word & 0xFFFFFFFF)
        case np.random.Generator():
            bits: Any = generator.bit_generator
            # One that has no such state, as of the user's own make, stays as it is.
            with contextlib.suppress(TypeError, AttributeError, ValueError):
                bits.state = type(bits)(word).state
        case _:
            generator.seed(word)
