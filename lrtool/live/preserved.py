"""A context in which a model may be trained and an optimizer used, and after which all is as it was before."""

from __future__ import annotations

import contextlib
import copy
import gc
import logging
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from lrtool.live.process import remember_process
from lrtool.live.remembering import Remembered
from lrtool.live.storage import TensorStorage, Where, bytes_of

_LOG = logging.getLogger("lrtool")

#: How often putting back is tried where something breaks into it; signals cannot, so this is for all else.
_TRIES = 5
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Preserved:
    """Live objects, and what they held when this was made.

    `model`, `optimizer` and `loss` may each be None; `others` are schedulers, loaders, averaged weights, or whatever
    else is to be as it was. Nothing is changed by making it, and no copy is made on the model's device.
    """

    def __init__(
        self,
        model: nn.Module | None = None,
        optimizer: torch.optim.Optimizer | None = None,
        loss: Any = None,
        data: Sequence[Any] = (),
        others: Sequence[Any] = (),
        keep: Where = "auto",
    ) -> None:
        self.parameters = _parameters(model, optimizer, loss, others)
        buffers = [b for each in (model, loss, *others) if isinstance(each, nn.Module) for b in each.buffers()]
        state = list(_tensors(optimizer.state)) if optimizer is not None else []
        self._storage = TensorStorage(keep, bytes_of([*self.parameters, *buffers, *state]))
        self._process, self._training, self._rest = (Remembered(self._storage) for _ in range(3))
        remember_process(self._process)
        for parameter in self.parameters:
            self._training.value(parameter)
            self._training.then(_requiring(parameter))
        for each in (model, loss):
            _remember_module(self._training, each)
        if optimizer is not None:
            self._training.attributes(optimizer)
            others = [*others, *attached_schedulers(optimizer)]
        for each in data:
            _remember_data(self._rest, each)
        for each in others:
            _remember_other(self._rest, each)
        self._gradients: list[tuple[nn.Parameter, Tensor | None]] = [(each, each.grad) for each in self.parameters]
        self._away: list[tuple[Tensor, Tensor]] = []

    def begin(self) -> None:
        """Make room for a training: gradients that are there wait elsewhere, those of an accelerator on the host."""
        for parameter, gradient in self._gradients:
            parameter.grad = None
            if gradient is not None and gradient.device.type != "cpu":
                self._away.append((gradient, gradient.detach().to("cpu", copy=True)))
                gradient.data = torch.empty(0, dtype=gradient.dtype, device=gradient.device)

    def rewind(self) -> None:
        """Model, loss and optimizer are as they were, without gradients: a training can begin again."""
        self._training.restore()
        for parameter in self.parameters:
            parameter.grad = None

    def rewind_all(self) -> None:
        """The same, and all else that is remembered but for the process's own state, random numbers among it."""
        self.rewind()
        self._rest.restore()

    def put_back(self) -> None:
        """Everything is as it was, in the same objects; may be called again where something broke into it."""
        errors: list[Exception] = []
        for step in (self._training.restore, self._rest.restore, self._put_back_gradients, self._process.restore):
            try:
                step()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def close(self) -> None:
        """Let go of the copies."""
        self._storage.close()

    def _put_back_gradients(self) -> None:
        for gradient, kept in self._away:
            gradient.data = kept.to(gradient.device)
        for parameter, before in self._gradients:
            parameter.grad = before


@contextlib.contextmanager
def preserved(
    model: nn.Module | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    loss: Any = None,
    data: Sequence[Any] = (),
    others: Sequence[Any] = (),
    keep: Where = "auto",
) -> Iterator[Preserved]:
    """Inside, these may be trained; afterwards all is as before: also after an exception or Ctrl-C, wherever it came.

    That is: parameters and buffers, `requires_grad`, gradients, the mode of every module and their other attributes,
    the optimizer's state and groups, LR schedulers on it, random states (Python, NumPy, torch, every device, and
    generators that the data have), autocast, and the position of `data` that can say theirs. The objects stay the same,
    and so do their tensors. Copies are kept in memory, or where that is short in files (`keep`: cpu or disk).
    """
    state = Preserved(model, optimizer, loss, data, others, keep)
    failed: BaseException | None = None
    try:
        state.begin()
        with torch.enable_grad():
            yield state
    finally:
        # No function is called before the first `try`: that is where a signal could come between.
        for _ in range(_TRIES):
            try:
                failed = _put_back(state) or failed
                break
            except BaseException as error:
                failed = error
    if failed is not None:
        raise failed


def _put_back(state: Preserved) -> BaseException | None:
    """Put back while signals wait; gives the error of what could not be, once all else is done."""
    with _held_signals():
        try:
            state.put_back()
        except Exception as error:
            _LOG.warning("something could not be put back: %s", error)
            return error
        state.close()
    return None


@contextlib.contextmanager
def _held_signals() -> Iterator[None]:
    """Signals that come inside wait until the end, however many."""
    if threading.current_thread() is not threading.main_thread():
        yield  # they never come to another thread
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda signum, _: came.append(signum)) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
    if came:
        signal.raise_signal(came[0])


def attached_schedulers(optimizer: torch.optim.Optimizer) -> list[LRScheduler]:
    """The LR schedulers that drive an optimizer, wherever they are: it does not know them itself."""
    kinds = set(_with_subclasses(LRScheduler))
    # By their class alone: some objects do things when they are asked for more.
    found = [each for each in gc.get_objects() if type(each) in kinds]
    return [each for each in found if getattr(each, "optimizer", None) is optimizer]


def _with_subclasses(cls: type[Any]) -> Iterator[type[Any]]:
    yield cls
    for below in cls.__subclasses__():
        yield from _with_subclasses(below)


def _parameters(*owners: Any) -> list[nn.Parameter]:
    """The parameters of modules and optimizers, each once."""
    found: dict[int, nn.Parameter] = {}
    for owner in owners:
        parts: Iterable[Any] = owner if isinstance(owner, list | tuple) else (owner,)
        for each in parts:
            if isinstance(each, nn.Module):
                found.update({id(p): p for p in each.parameters()})
            elif isinstance(each, torch.optim.Optimizer):
                found.update({id(p): p for group in each.param_groups for p in group["params"]})
    return list(found.values())


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _tensors(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)


def _requiring(parameter: nn.Parameter) -> Any:
    wanted = parameter.requires_grad
    return lambda: parameter.requires_grad_(wanted) if parameter.requires_grad != wanted else None


def _remember_module(memory: Remembered, module: Any) -> None:
    """Every attribute of every submodule: modes, buffers, hooks, and what the user keeps there."""
    for each in module.modules() if isinstance(module, nn.Module) else ():
        memory.attributes(each)


def _remember_data(memory: Remembered, data: Any) -> None:
    """Where a loader or a data set stands, and the generators that it draws from."""
    seen: list[Any] = []
    waiting = [data]
    while waiting:
        each = waiting.pop()
        if each is None or any(each is other for other in seen) or isinstance(each, Tensor | nn.Module):
            continue
        seen.append(each)
        if isinstance(each, list | tuple):
            waiting += [part for part in each[:64] if not isinstance(part, Tensor)]
            continue
        if not isinstance(each, DataLoader):
            _remember_position(memory, each)
        memory.shallow(each)
        waiting += [getattr(each, name, None) for name in ("dataset", "sampler", "batch_sampler")]
        waiting += list(getattr(each, "datasets", None) or ())


def _remember_position(memory: Remembered, each: Any) -> None:
    """What says its own state is told it again; a torch loader is not asked: it is never iterated."""
    if callable(getattr(each, "state_dict", None)) and callable(getattr(each, "load_state_dict", None)):
        state = copy.deepcopy(each.state_dict())
        memory.then(lambda: each.load_state_dict(copy.deepcopy(state)))


def _remember_other(memory: Remembered, each: Any) -> None:
    """A scheduler, averaged weights, a gradient scaler or anything else with attributes."""
    if isinstance(each, nn.Module):
        _remember_module(memory, each)
    elif isinstance(each, LRScheduler | torch.optim.Optimizer):
        memory.attributes(each)
    else:
        _remember_position(memory, each)
        memory.attributes(each)
        memory.value(each)
