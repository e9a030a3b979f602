"""Loaders that know where they are, as torchdata's `StatefulDataLoader`: read in their own order, and gone on with.

Whatever has `state_dict` and `load_state_dict`, and gives batches when it is iterated over, is one. What is drawn at
random is a function of the trial's seed, the pass, and the sample (of a stream: its number), wherever it is drawn.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from lrtool.errors import TaskError
from lrtool.tasks.failures import guarded
from lrtool.tasks.loading.draws import UNTRAINED, Draw, drawn_by
from lrtool.tasks.loading.seeded import Seeded, seeded
from lrtool.tasks.loading.worker import Begin

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lrtool.tasks.sources import Batch

_END = object()
#: What is drawn when a pass begins, as its order.
_BEGINNING = -1


def is_stateful_loader(value: Any) -> bool:
    """Whether it gives batches and its place among them can be saved."""
    from torch import nn
    from torch.utils.data import Dataset

    if isinstance(value, Dataset | nn.Module) or hasattr(value, "__getitem__"):
        return False
    return all(hasattr(value, name) for name in ("__iter__", "state_dict", "load_state_dict"))


@dataclass(frozen=True, eq=False)
class LoaderSource:
    """A user's loader as a source: its batches come in its own order, one after the other, each trial from the first.

    `batch_size`, `per_pass`: samples of its first batch, batches of a pass. `first`: that batch, as it came. `initial`:
    its state before anything was read. `target`, `spread`, `also_target`: as of `DatasetSource`.
    """

    loader: Any
    batch_size: int
    per_pass: int
    first: Any = None
    initial: Any = None
    device: torch.device | None = None
    target: str = "target"
    spread: bool = False
    also_target: bool = False

    @classmethod
    def of(cls, loader: Any, most: int, target: str) -> Self:
        """The source of a loader; of one that does not know its length, about `most` samples are called an epoch.

        Raises TaskError where its code fails or it gives nothing.
        """
        initial = None
        if (state_of := _stateful(loader)) is not None:
            with drawn_by(UNTRAINED.word(0)), guarded("state_dict of the data", "data"):
                initial = copy.deepcopy(state_of.state_dict())
        source = cls(loader, 1, 1, initial=initial, target=target)
        reading = Reading(source, 0)
        try:
            first = reading.following()
        finally:
            reading.close()
        size = _samples(first)
        return replace(source, first=first, batch_size=size, per_pass=_length(loader) or max(1, most // size))

    def __len__(self) -> int:
        return self.batch_size * self.per_pass

    def take(self, index: Tensor) -> Batch:
        """As many samples of its first batch: to look at what there is, not to train on."""
        return self.placed(_first(self.first, min(len(index), self.batch_size), self.batch_size))

    def placed(self, collated: Any) -> Batch:
        """A batch as the loader gave it, on the device."""
        import torch

        from lrtool.tasks.sources import Batch, as_batch, moved

        batch = as_batch(collated, self.target, self.spread, self.also_target)
        device = self.device or torch.device("cpu")
        return Batch(moved(batch.inputs, device), moved(batch.target, device))

    def to(self, device: torch.device) -> Self:
        """The same loader, its batches on the device."""
        return replace(self, device=device)

    def fresh(self, seed: int) -> Any:
        """The loader as if nothing had been read, for a trial of this seed."""
        if (state_of := _stateful(self.loader)) is not None:
            with drawn_by(UNTRAINED.word(0)), guarded("load_state_dict of the data", "data"):
                state_of.load_state_dict(copy.deepcopy(self.initial))
        return _copied(self.loader, seed) if _is_torchs(self.loader) else self.loader


class Reading:
    """A trial's way through a loader, pass after pass."""

    def __init__(self, source: LoaderSource, seed: int) -> None:
        self._seed, self._loader = seed, source.fresh(seed)
        self._passes = self._taken = 0
        self._iterator: Iterator[Any] | None = None

    def following(self) -> Any:
        """The next batch as the loader gives it; raises TaskError where it fails, or gives none in a whole pass."""
        for _ in range(2):
            iterator = self._begun() if self._iterator is None else self._iterator
            word = Draw(self._seed, self._passes).word(self._taken, 1)
            with drawn_by(word), guarded("reading a batch from the loader", "data"):
                batch = next(iterator, _END)
            if batch is not _END:
                self._taken += 1
                return batch
            self._passes, self._taken, self._iterator = self._passes + 1, 0, None
        raise TaskError("the loader gives no batch", where="data", remedy="give at least one batch in each pass")

    def state(self) -> dict[str, Any]:
        """Where it is, with the loader's own state."""
        own = None
        if self._iterator is not None:
            with drawn_by(UNTRAINED.word(0)), guarded("the loader's state_dict", "data"):
                own = self._loader.state_dict()
        return {"passes": self._passes, "taken": self._taken, "loader": own}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave; raises TaskError where the loader does not take it."""
        if state["loader"] is None:
            return
        self._passes, self._taken = state["passes"], state["taken"]
        with drawn_by(UNTRAINED.word(0)), guarded("the loader's load_state_dict", "data"):
            self._loader.load_state_dict(state["loader"])
        self._begun()

    def close(self) -> None:
        """Let go of the loader, and end its processes."""
        self._iterator = self._loader = None

    def _begun(self) -> Iterator[Any]:
        dataset = getattr(self._loader, "dataset", None)
        if isinstance(dataset, Seeded):
            dataset.draw = Draw(self._seed, self._passes)
        with drawn_by(Draw(self._seed, self._passes).word(_BEGINNING)), guarded("beginning with the loader", "data"):
            self._iterator = iter(self._loader)
        return self._iterator


def _is_torchs(loader: Any) -> bool:
    from torch.utils.data import DataLoader

    return isinstance(loader, DataLoader)


def _stateful(loader: Any) -> Any:
    """What of a loader remembers how much was read, apart from what is copied for each trial; None where nothing."""
    if not _is_torchs(loader):
        return loader
    keeps = all(hasattr(loader.dataset, name) for name in ("state_dict", "load_state_dict"))
    return loader.dataset if keeps else None


def _copied(loader: Any, seed: int) -> Any:
    """A loader of its own for a trial: the same data set, but its own sampler, which starts from the beginning."""
    dataset = seeded(loader.dataset)
    try:
        own = copy.deepcopy(loader, {id(loader.dataset): dataset})
    except Exception:  # something in it cannot be copied; whatever that is has a state of its own, or none
        own = copy.copy(loader)
    # torch lets nobody set some of these once a loader is made; the copy has not begun yet.
    own.__dict__.update(dataset=dataset, worker_init_fn=Begin(loader.worker_init_fn), persistent_workers=False)
    if loader.generator is None:
        # torchdata seeds its sampler when it is made, from whatever the state was then.
        for sampler in (own.sampler, getattr(own.batch_sampler, "sampler", None)):
            generator = getattr(sampler, "generator", None)
            if generator is not None:
                generator.manual_seed(Draw(seed, 0).word(_BEGINNING))
    return own


def _length(loader: Any) -> int:
    """Batches of a pass; 0 where it does not say."""
    try:
        return len(loader)
    except (TypeError, NotImplementedError):
        return 0


def _samples(batch: Any) -> int:
    """How many samples a batch has: the length of its first tensor."""
    if hasattr(batch, "shape"):
        return max(1, int(batch.shape[0])) if batch.ndim else 1
    parts = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, tuple | list) else ()
    return next((_samples(part) for part in parts if hasattr(part, "shape") or isinstance(part, Mapping | tuple)), 1)


def _first(value: Any, count: int, size: int) -> Any:
    """The first samples of what has `size` of them, however nested."""
    if hasattr(value, "shape"):
        return value[:count] if value.ndim and len(value) == size else value
    if isinstance(value, Mapping):
        return {key: _first(part, count, size) for key, part in value.items()}
    return tuple(_first(part, count, size) for part in value) if isinstance(value, tuple | list) else value


def unbatched(value: Any, most: int) -> Any:
    """The samples of a loader that is not torch's, about `most` of them, as a list; anything else as it is."""
    if not is_stateful_loader(value) or _is_torchs(value):
        return value
    samples: list[Any] = []
    with drawn_by(UNTRAINED.word(0)), guarded("reading the loader", "data"):
        for batch in value:
            size = _samples(batch)
            samples += [one(batch, number, size) for number in range(size)]
            if len(samples) >= most:
                break
    return samples


def one(value: Any, number: int, size: int) -> Any:
    """One sample of what has `size` of them, however nested."""
    if hasattr(value, "shape"):
        return value[number] if value.ndim and len(value) == size else value
    if isinstance(value, Mapping):
        return {key: one(part, number, size) for key, part in value.items()}
    return tuple(one(part, number, size) for part in value) if isinstance(value, tuple | list) else value
