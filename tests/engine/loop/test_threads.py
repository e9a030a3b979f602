"""One thread for small models, all of them for large ones, always the same for the same task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from lrtool.engine.device import intra_threads
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.loop.threads import worthwhile_threads
from lrtool.engine.trials import Recipe
from lrtool.errors import TaskError
from lrtool.optimizers import KINDS
from lrtool.tasks.base import Task, seeded_model
from tests.engine.contract import small_task, trial

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _three_threads() -> Iterator[None]:
    with intra_threads(3):
        yield


def _with(task: Task, model: nn.Module) -> Task:
    return replace(task, new_model=lambda: model)


class _Busy(nn.Module):
    """Few parameters, but many operations with each."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = seeded_model(small_task(), 0)

    def forward(self, x: Tensor) -> Tensor:
        busy = torch.ones(400, 400) @ torch.ones(400, 400)
        out: Tensor = self.inner(x) + 0 * busy.sum()
        return out


class _Spy(nn.Module):
    """Notes how many threads each forward pass has."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.seen: list[int] = []

    def __deepcopy__(self, memo: object) -> _Spy:
        return _Spy(self.inner)

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(torch.get_num_threads())
        out: Tensor = self.inner(x)
        return out


def test_small_models_train_with_one_thread() -> None:
    spy = _Spy(seeded_model(small_task(), 0))
    LoopEngine().run(_with(small_task(), spy), [trial(0, 3, 0.1)], Recipe(KINDS["sgd"](lr=0.1)))
    assert set(spy.seen) == {1}
    assert torch.get_num_threads() == 3


def test_models_with_much_to_compute_get_all_threads() -> None:
    assert worthwhile_threads(small_task(), _Busy(), CPU) == 3


def test_models_with_many_parameters_get_all_threads_without_a_look() -> None:
    large = nn.Linear(2000, 2000)
    large.register_forward_pre_hook(lambda *_: pytest.fail("it was run"))
    assert worthwhile_threads(small_task(), large, CPU) == 3


def test_other_devices_are_left_alone() -> None:
    assert worthwhile_threads(small_task(), seeded_model(small_task(), 0), torch.device("meta")) == 3


def test_a_model_that_fails_fails_in_training() -> None:
    class Broken(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("broken on purpose")

    broken = Broken(2, 2)
    assert worthwhile_threads(small_task(), broken, CPU) == 3
    with pytest.raises(TaskError, match="broken on purpose"):
        LoopEngine().run(_with(small_task(), broken), [trial(0, 3, 0.1)], Recipe(KINDS["sgd"](lr=0.1)))


def test_looking_changes_nothing() -> None:
    task = small_task(dropout=0.5)
    model = seeded_model(task, 0)
    model.append(nn.BatchNorm1d(3))  # type: ignore[operator]
    before, state = torch.get_rng_state(), {name: t.clone() for name, t in model.state_dict().items()}
    assert worthwhile_threads(task, model, CPU) == 1
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(t, state[name]) for name, t in model.state_dict().items())
