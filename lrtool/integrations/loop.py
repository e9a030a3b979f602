"""An LR range test around a training loop of one's own: the user's code trains, and is handed batches and LRs."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from lrtool.api.results.range_test import RangeTestAnswer
from lrtool.config.specs import ScheduleLike
from lrtool.errors import UsageError
from lrtool.integrations.driving import Foreign, RangeTestOptions, Updates, checked, measure
from lrtool.live.preserved import Preserved, attached_schedulers, preserved

#: Epochs of a training whose length is not said, and its updates where a loader does not know how many batches it has.
_EPOCHS, _UNKNOWN = 3, 1000
_RAMP_ONLY = "only the ramp was made, as each batch of these data comes once: short trainings would repeat them"


class RangeTest:
    """An LR range test of a loop of one's own, as a context: inside it trains, afterwards all is as it was.

    The loop's body makes one update a batch, as it always does, and says its loss by `record`. It is given as many
    batches as the test takes: first those of the ramp, then those of short trainings that check what the ramp says,
    each from the weights that there were before. So the body must not break the loop off, nor count on epochs.

    model: a module, or several as a list (of a GAN: both networks).
    optimizer: the one whose LR is tested; others train on at their own.
    preserve: what else the body changes and is to be put back before each training and at the end: other optimizers,
        LR schedulers, averaged weights, gradient scalers, environments with `state_dict`, lists of one's own.
    accumulate: batches of an update, where the body steps only every so many; it calls `record` for each of them.
    duration: updates of the training that the LR is for; unsaid, three epochs.
    quick: the ramp alone. A generator's batches come once, so that it is all that there is of them.
    schedule, budget, progress, output, settings: as in `lrtool.range_test`.

    >>> import torch
    >>> model, x = torch.nn.Linear(4, 1), torch.randn(200, 4)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    >>> with RangeTest(model, optimizer, quick=True, progress=False) as test:
    ...     for batch in test(x.split(20)):
    ...         loss = (model(batch) - batch.sum(1, keepdim=True)).square().mean()
    ...         optimizer.zero_grad()
    ...         loss.backward()
    ...         optimizer.step()
    ...         test.record(loss)
    >>> test.suggested_lr is None or 1e-3 < test.suggested_lr < 10, optimizer.param_groups[0]["lr"]
    (True, 0.01)
    """

    def __init__(
        self,
        model: nn.Module | Sequence[nn.Module],
        optimizer: Any,
        *,
        preserve: Sequence[Any] = (),
        accumulate: int = 1,
        duration: int | None = None,
        schedule: ScheduleLike | None = None,
        budget: float | None = None,
        quick: bool = False,
        progress: bool = True,
        output: Any = None,
        **settings: Any,
    ) -> None:
        modules = list(model) if isinstance(model, Sequence) else [model]
        whole = modules[0] if len(modules) == 1 else nn.ModuleList(modules)
        self._model, self._optimizer = checked(whole, optimizer)
        wrapped = [optimizer] if optimizer is not self._optimizer else []
        others = [each for each in preserve if isinstance(each, torch.optim.Optimizer)]
        self._preserve = (*wrapped, *preserve, *(s for each in others for s in attached_schedulers(each)))
        if accumulate < 1:
            raise UsageError(f"accumulate is at least 1, but got {accumulate}", where="accumulate")
        self._accumulate, self._duration, self._schedule = accumulate, duration, schedule
        self._options, self._settings = RangeTestOptions(budget, quick, progress, output), settings
        self._stack = contextlib.ExitStack()
        self._state: Preserved | None = None
        self._updates: Updates | None = None
        self._losses: list[Any] = []
        self.result: RangeTestAnswer | None = None

    def __enter__(self) -> Self:
        self._stack = contextlib.ExitStack()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, trace)

    def __call__(self, loader: Iterable[Any]) -> Iterator[Any]:
        """Batches for the body of the loop, from its loader begun again as often as it takes."""
        if self._state is not None:
            raise UsageError("this test was made already", where="RangeTest", remedy="make another one")
        once = isinstance(loader, Iterator)
        self._state = self._stack.enter_context(
            preserved(self._model, self._optimizer, None, (loader,), self._preserve)
        )
        work = _Work(lambda train: self._measured(train, loader, once))
        # First of all the other thread ends, then all is put back.
        self._stack.callback(work.stop)
        return self._batches(work, loader)

    def record(self, loss: Tensor | float) -> None:
        """The loss of this batch, after the update."""
        self._losses.append(loss.detach().float().mean() if isinstance(loss, Tensor) else float(loss))

    def step(self, loss: Tensor) -> None:
        """Backward, the optimizer's step, zero gradients and `record`, for a body that has nothing else to do."""
        (loss / self._accumulate).backward()  # type: ignore[no-untyped-call]
        if len(self._losses) + 1 >= self._accumulate:
            self._optimizer.step()
            self._optimizer.zero_grad()
        self.record(loss)

    @property
    def lr(self) -> float:
        """The LR of the update that is being made, for a body that wants to show it."""
        return float(self._optimizer.param_groups[0]["lr"])

    @property
    def suggested_lr(self) -> float | None:
        """The peak LR; None where the measurements support none: then `result.reason` says why."""
        return self._done().suggested_lr

    @property
    def interval(self) -> tuple[float, float | None] | None:
        """The LRs between which the best one lies."""
        return self._done().interval

    def plot(self) -> Any:
        """Loss against LR, with what was found."""
        return self._done().plot()

    def apply(self, optimizer: Any = None) -> None:
        """Set the suggested LR in the optimizer, in proportion in each group, and for its LR schedulers."""
        self._done().apply(self._optimizer if optimizer is None else optimizer)

    def _done(self) -> RangeTestAnswer:
        if self.result is None:
            raise UsageError(
                "there is no result: the loop over the test's batches did not come to its end",
                where="RangeTest",
                remedy="loop over test(loader) without a break",
            )
        return self.result

    def _measured(self, train: Any, loader: Any, once: bool) -> RangeTestAnswer:
        per_epoch = len(loader) if hasattr(loader, "__len__") else _UNKNOWN
        per_epoch = max(1, -(-per_epoch // self._accumulate))
        notes = (_RAMP_ONLY,) * once
        assert self._state is not None
        foreign = Foreign(
            self._model, self._optimizer, loader, per_epoch, self._duration or _EPOCHS * per_epoch, train, self._state,
            self._schedule, {**({"seeds": 1} if once else {}), **self._settings}, (loader,), notes, repeats=not once,
        )  # fmt: skip
        return measure(foreign, replace(self._options, quick=self._options.quick or once))

    def _batches(self, work: _Work, loader: Iterable[Any]) -> Iterator[Any]:
        while (updates := work.wanted()) is not None:
            while not updates.over:
                before = len(updates.losses)
                for batch in loader:
                    yield from self._one(batch, updates)
                    if updates.over:
                        break
                if len(updates.losses) == before:
                    break
            work.made()
        self.result = work.result()

    def _one(self, batch: Any, updates: Updates) -> Iterator[Any]:
        """Give a batch to the body; what it recorded is the loss."""
        updates.prepare()
        before = len(self._losses)
        yield batch
        if len(self._losses) == before:
            raise UsageError(
                "the loop's body said no loss", where="RangeTest", remedy="call test.record(loss) once for each batch"
            )
        if len(self._losses) >= self._accumulate:
            updates.record(sum(self._losses) / len(self._losses))
            self._losses = []


class _Work:
    """A range test on a thread of its own, which waits for each training until the loop outside has made it."""

    def __init__(self, job: Callable[[Callable[[Updates], None]], RangeTestAnswer]) -> None:
        self._job = job
        self._wanted: queue.SimpleQueue[Updates | None] = queue.SimpleQueue()
        self._made: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._result: RangeTestAnswer | None = None
        self._error: BaseException | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="lrtool-range-test", daemon=True)

    def wanted(self) -> Updates | None:
        """The training that is to be made next; None where there are no more."""
        if self._thread.ident is None:
            self._thread.start()
        return self._wanted.get()

    def made(self) -> None:
        """It was made."""
        self._made.put(True)

    def result(self) -> RangeTestAnswer:
        """What the range test found; its error where it failed."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    def stop(self) -> None:
        """Nothing more will be made: end the thread, wherever it is."""
        self._stopping = True
        self._made.put(False)
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            self._result = self._job(self._train)
        except BaseException as error:
            self._error = error
        finally:
            self._wanted.put(None)

    def _train(self, updates: Updates) -> None:
        """Have the loop outside make these updates."""
        if not self._stopping:
            self._wanted.put(updates)
            if self._made.get():
                return
        raise KeyboardInterrupt("the loop was left")
