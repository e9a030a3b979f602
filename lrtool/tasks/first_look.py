"""A first look at a model: what it says of a small batch, and which sizes of batches it takes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lrtool.errors import LrtoolError, TaskError
from lrtool.tasks.arranging import ModelMaker, arranged, is_lazy, with_target
from lrtool.tasks.base import Data, own_loss
from lrtool.tasks.failures import guarded
from lrtool.tasks.losses.base import describe

if TYPE_CHECKING:
    from torch import nn

    from lrtool.tasks.sources import Batch, Source

#: Samples of the batch that model, loss and metrics are tried on.
_SMALL = 8


@dataclass(frozen=True)
class FirstLook:
    """A batch, what a fresh model says of it, and the data as the model takes them.

    `whole_batches`: it takes batches of the configured size only, as one that keeps its state from batch to batch does.
    `gets_target`: the target is among its inputs.
    """

    batch: Batch
    output: Any
    data: Data
    whole_batches: bool
    gets_target: bool = False


def first_look(maker: ModelMaker, batch_size: int, loaded: Data, own: bool) -> FirstLook:
    """Try a fresh model on a few samples, and where it does not take so few, on a whole batch.

    `own`: a model that may have the target as an input gets it, if it then returns a loss of its own. torch's random
    state is left as it was. Raises TaskError where the model cannot be built or takes neither.
    """
    import torch

    small = min(batch_size, _SMALL)
    with torch.random.fork_rng(devices=[]):
        model = _fresh(maker)
        loaded = arranged(loaded, model)
        alone, loaded = loaded, _with_target(maker, model, loaded, small, own)
        try:
            batch, output = _tried(maker, model, loaded, small)
        except LrtoolError:
            whole = _whole(maker, loaded, batch_size) if batch_size > small else None
            if whole is None:
                raise
            return FirstLook(*whole, loaded, True, loaded is not alone)
        return FirstLook(batch, output, loaded, not _takes_another(model, loaded, small), loaded is not alone)


def _with_target(maker: ModelMaker, model: nn.Module, loaded: Data, size: int, own: bool) -> Data:
    """The data with the target among the inputs, where the model needs it there or makes its loss of it."""
    needed, offered = (with_target(loaded, model, offered=each) for each in (False, own))
    if offered is needed or needed is not loaded:
        return needed
    known = maker.example
    try:
        return offered if own_loss(_tried(maker, _fresh(maker), offered, size)[1]) is not None else loaded
    except LrtoolError:
        return loaded
    finally:
        maker.example = known


def _fresh(maker: ModelMaker) -> nn.Module:
    from torch import nn

    with guarded("building the model", "model"):
        model = maker.bare()
    if not isinstance(model, nn.Module):
        raise TaskError(f"the model is {describe(model)}, not an nn.Module", where="model")
    return model


def _tried(maker: ModelMaker, model: nn.Module, loaded: Data, size: int) -> tuple[Batch, Any]:
    """The first samples and what the model says of them; layers without sizes, or yet to be made, are whole by then."""
    batch = _first(loaded.train, size, model)
    if is_lazy(model):
        maker.example = batch
    inputs = batch.inputs.values() if hasattr(batch.inputs, "values") else batch.inputs
    shapes = ", ".join(describe(part) for part in inputs)
    before = len(list(model.parameters()))
    with guarded(f"the model's forward pass (inputs: {shapes})", "model", _remedy(inputs, model)):
        output = batch.forward(maker.formed(model))
    if len(list(model.parameters())) != before:
        # An optimizer must know of all of them before the first update.
        maker.example = batch
    return batch, output


def _first(source: Source, size: int, model: nn.Module) -> Batch:
    """The first samples, where the model is: one of the user's own may stand on a device before its data do."""
    import torch

    from lrtool.tasks.sources import Batch, moved

    batch = source.take(torch.arange(size))
    home = next((each.device for each in itertools.chain(model.parameters(), model.buffers())), torch.device("cpu"))
    return batch if home.type == "cpu" else Batch(moved(batch.inputs, home), moved(batch.target, home))


def _whole(maker: ModelMaker, loaded: Data, batch_size: int) -> tuple[Batch, Any] | None:
    """A whole batch and what a fresh model says of it; None where it does not take that either."""
    known = maker.example
    try:
        return _tried(maker, _fresh(maker), loaded, batch_size)
    except LrtoolError:
        maker.example = known
        return None


def try_remainder(maker: Callable[[], nn.Module], train: Source, size: int) -> None:
    """Raise TaskError where a fresh model, in training, does not take the smaller batch that ends an epoch."""
    import torch

    model = maker()
    batch = _first(train, size, model)
    with (
        torch.random.fork_rng(devices=[]),
        torch.no_grad(),
        guarded(f"the model's forward pass of an epoch's last batch, of {size}", "model", "write data.drop_last: true"),
    ):
        batch.forward(model)


def _takes_another(model: nn.Module, loaded: Data, size: int) -> bool:
    """Whether, after a batch of one size, it also takes one of another as validation has; in evaluation mode.

    Where it takes none at all in that mode, validation itself will fail and say why.
    """
    import torch

    other = min(2, len(loaded.train)) if size == 1 else max(1, size - 3)
    if other == size:
        return True
    model.eval()
    with torch.no_grad():
        for samples, answer in ((other, True), (size, False)):
            try:
                _first(loaded.train, samples, model).forward(model)
            except Exception:  # whatever the user's code raises
                continue
            return answer
    return True


def _remedy(inputs: Iterable[Any], model: nn.Module) -> str:
    """What to do where a model does not take these inputs."""
    own = next((each.dtype for each in model.parameters() if each.is_floating_point()), None)
    for each in inputs:
        if hasattr(each, "is_floating_point") and each.is_floating_point() and own is not None and each.dtype != own:
            given, wanted = (str(dtype).removeprefix("torch.") for dtype in (each.dtype, own))
            return f"the data are {given} and the model is {wanted}: return x.to(torch.{wanted}) from your data"
    return "make the model take a batch of such inputs (the first number is the batch's size)"
