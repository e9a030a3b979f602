"""Which models stack, and the reasons of those that do not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from lrtool.engine.choice import choose_engine
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.loop.speeds import LoopSpeed
from lrtool.engine.trials import Recipe
from lrtool.engine.vector.engine import VectorEngine
from lrtool.engine.vector.proof.stackable import why_not_stackable
from lrtool.errors import TaskError
from lrtool.optimizers import KINDS
from lrtool.schedules.plateau import Plateau
from lrtool.tasks.base import Task
from lrtool.tasks.sources import DatasetSource
from tests.engine.contract import BATCH, CLASSES, FEATURES, small_task, trial

RECIPE = Recipe(KINDS["sgd"](lr=0.1))


class Own(nn.Module):
    """A model with a forward of its own."""

    def __init__(self, through: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.through = nn.Linear(FEATURES, CLASSES), through

    def forward(self, x: Tensor) -> Tensor:
        return self.through(self.layer(x))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoderLayer(FEATURES, 2, 8, dropout=0.1, batch_first=True)
        self.head = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x.unsqueeze(1).expand(-1, 3, -1)).mean(1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(1, 4, 2, batch_first=True, dropout=0.2)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.gru(x.unsqueeze(-1))[0][:, -1])


def task_of(make: Callable[[], nn.Module]) -> Task:
    return replace(small_task(), new_model=make)


STACK = {
    "batch norm": lambda: nn.Sequential(nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.Linear(8, CLASSES)),
    "dropout": lambda: nn.Sequential(nn.Dropout(0.3), nn.Linear(FEATURES, CLASSES)),
    "attention": Attention,
    "gru": Recurrent,
    "frozen": lambda: nn.Sequential(nn.Linear(FEATURES, 8).requires_grad_(False), nn.Linear(8, CLASSES)),
}


@pytest.mark.parametrize("name", STACK)
def test_these_stack(name: str) -> None:
    assert why_not_stackable(task_of(STACK[name]), RECIPE) is None


def item(x: Tensor) -> Tensor:
    return x * x.mean().item()


def branch(x: Tensor) -> Tensor:
    return x if x.sum() > 0 else -x


def unknown_operator(x: Tensor) -> Tensor:
    return nn.functional.rrelu(x, training=True)


class Fickle(nn.Module):
    """Another function at every call, by state that is no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.calls = nn.Linear(FEATURES, CLASSES), 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.layer(x) * self.calls


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Own(item), r"test_stackable\.py:\d+.*item"),
        (lambda: Own(branch), r"test_stackable\.py:\d+.*looks at values"),
        (lambda: Own(unknown_operator), r"test_stackable\.py:\d+.*rrelu"),
        (Fickle, r"test_stackable\.py:\d+: .*`calls` changes"),
    ],
)
def test_these_do_not_and_say_why(make: Callable[[], nn.Module], says: str) -> None:
    task, trials = task_of(make), [trial(seed, 5, 0.1) for seed in range(2)]
    assert why_not_stackable(task, RECIPE) is not None
    choice = choose_engine(task, trials, RECIPE)
    engine, reason = choice.engine, choice.text
    assert isinstance(engine, LoopEngine)
    assert re.search(says, reason)


def test_settings_that_do_not_stack() -> None:
    task = small_task()
    fetched = replace(task, train=DatasetSource([(torch.zeros(FEATURES), 0)] * BATCH))
    assert "sample by sample" in str(why_not_stackable(fetched, RECIPE))
    assert "bf16" in str(why_not_stackable(task, replace(RECIPE, precision="bf16")))
    assert "plateau" in str(why_not_stackable(task, replace(RECIPE, plateau=Plateau())))


def test_a_model_that_fails_alone_is_a_task_error() -> None:
    def broken(x: Tensor) -> Tensor:
        raise RuntimeError("out of order")

    with pytest.raises(TaskError, match="out of order"):
        why_not_stackable(task_of(lambda: Own(broken)), RECIPE)


def test_probing_leaves_the_random_state_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    why_not_stackable(task_of(STACK["dropout"]), RECIPE)
    assert torch.equal(torch.get_rng_state(), before)


def test_one_trial_takes_the_loop_and_many_the_stack() -> None:
    choice = choose_engine(small_task(), [trial(0, 5, 0.1)], RECIPE)
    engine, reason = choice.engine, choice.text
    assert isinstance(engine, LoopEngine) and "one trial" in reason
    choice = choose_engine(small_task(), [trial(seed, 5, 0.1) for seed in range(4)], RECIPE)
    engine, reason = choice.engine, choice.text
    assert isinstance(engine, VectorEngine) and "4 trials" in reason


@pytest.mark.parametrize(("loop", "expected"), [(1e-9, LoopEngine), (1e3, VectorEngine)])
def test_the_faster_engine_is_chosen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object, loop: float, expected: type
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("lrtool.engine.choice.known_loop_speed", lambda *_: LoopSpeed(loop, 0.0, 0.0))
    choice = choose_engine(small_task(), [trial(seed, 1000, 0.1) for seed in range(8)], RECIPE)
    engine, reason = choice.engine, choice.text
    assert isinstance(engine, expected)
    assert ("not faster" in reason) == (expected is LoopEngine)
