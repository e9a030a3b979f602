# ruff: noqa: NPY002 - models that draw where they should not
"""Models with state or draws outside torch's, and well-behaved ones, for the proof that a stack trains the same.

Every model takes a dropout `p`. `REFUSED` gives, for each, what the refusal must name; `TRAINED` are those that must
stack and equal the loop.
"""

from __future__ import annotations

import collections
import functools
import itertools
import os
import random
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrtool.engine.trials import Recipe, Trace
from lrtool.engine.vector.draws import key_of
from lrtool.engine.vector.engine import VectorEngine
from lrtool.engine.vector.proof.followed import Followed
from lrtool.optimizers import KINDS
from lrtool.tasks.base import Metric, Task
from tests.engine.contract import CLASSES, FEATURES, flat, small_task
from tests.engine.contract import trial as falling_trial

RECIPE = Recipe(KINDS["sgd"](lr=0.1, momentum=0.9), eval_every=20)


class Net(nn.Module):
    """Two layers and a dropout; subclasses say what happens between."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(FEATURES, 8), nn.Dropout(p), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.drop(torch.tanh(self.middle(self.first(x)))))

    def middle(self, h: Tensor) -> Tensor:
        return h


class Counter(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.updates = 0

    def middle(self, h: Tensor) -> Tensor:
        self.updates += self.training
        return h * (1.0 if self.updates <= 20 else 3.0)


class NestedCounter(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.state = {"seen": [0, {"deep": {1}}]}

    def middle(self, h: Tensor) -> Tensor:
        self.state["seen"][1]["deep"].add(1 + len(self.state["seen"][1]["deep"]))
        return h * (1 + len(self.state["seen"][1]["deep"]) % 7)


@dataclass
class Progress:
    steps: int = 0
    history: collections.deque[int] = field(default_factory=lambda: collections.deque(maxlen=3))


class DataclassState(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.progress = Progress()

    def middle(self, h: Tensor) -> Tensor:
        self.progress.steps += 1
        return h / (1 + 0.01 * self.progress.steps)


class Slots:
    __slots__ = ("__count",)

    def __init__(self) -> None:
        self.__count = 0

    def next(self) -> int:
        self.__count += 1
        return self.__count


class SlottedState(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.slots = types.SimpleNamespace(inner=Slots())

    def middle(self, h: Tensor) -> Tensor:
        return h * (1 + 0.1 * (self.slots.inner.next() % 3))


class CountIterator(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.clock = itertools.count()

    def middle(self, h: Tensor) -> Tensor:
        return h * (1 if next(self.clock) < 30 else 0.5)


def _steps() -> Iterator[float]:
    scale = 1.0
    while True:
        yield scale
        scale *= 0.99


class GeneratorState(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.scales = _steps()

    def middle(self, h: Tensor) -> Tensor:
        return h * next(self.scales)


class PythonRandom(Net):
    def middle(self, h: Tensor) -> Tensor:
        return h * (0.5 + random.random())


class OwnPythonRandom(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.dice = random.Random(0)

    def middle(self, h: Tensor) -> Tensor:
        return h * self.dice.choice([0.5, 1.0, 2.0])


class NumpyRandom(Net):
    def middle(self, h: Tensor) -> Tensor:
        return h * float(np.random.uniform(0.5, 1.5))


class OwnNumpyRandom(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.rng = np.random.default_rng(0)

    def middle(self, h: Tensor) -> Tensor:
        return h * float(self.rng.random())


class FreshNumpyRandom(Net):
    def middle(self, h: Tensor) -> Tensor:
        return h * float(np.random.default_rng().random() < 0.99)


class Clock(Net):
    def middle(self, h: Tensor) -> Tensor:
        return h * (1.0 if time.time() < 4e9 else 2.0)


class SystemRandom(Net):
    def middle(self, h: Tensor) -> Tensor:
        return h * (1.0 if os.urandom(2) != b"\0\0" else 2.0)


class ClassCounter(Net):
    calls = 0

    def middle(self, h: Tensor) -> Tensor:
        type(self).calls += 1
        return h * (1 + 0.1 * (ClassCounter.calls % 2))


_CALLS = {"n": 0}


def _global_step() -> int:
    _CALLS["n"] += 1
    return _CALLS["n"]


class GlobalCounter(Net):
    def middle(self, h: Tensor) -> Tensor:
        return h * (1 + 0.1 * (_global_step() % 5))


def _enclosing() -> Callable[[Tensor], Tensor]:
    calls = 0

    def scaled(h: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return h * (1 + 0.1 * (calls % 3))

    return scaled


class ClosureCounter(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.scaled = functools.partial(_enclosing())

    def middle(self, h: Tensor) -> Tensor:
        return self.scaled(h)


def _default(h: Tensor, seen: list[int] = []) -> Tensor:  # noqa: B006 - what is tested
    seen.append(len(seen))
    return h * (1 + 0.1 * (len(seen) % 3))


class DefaultArgument(Net):
    def middle(self, h: Tensor) -> Tensor:
        return _default(h)


class PlainTensorMean(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.running = torch.zeros(8)

    def middle(self, h: Tensor) -> Tensor:
        if self.training:
            self.running = 0.9 * self.running + 0.1 * h.detach().mean(0)
        return h - self.running


class NumpyArrayState(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.seen = np.zeros(2)

    def middle(self, h: Tensor) -> Tensor:
        self.seen[0] += 1
        return h * float(np.cos(0.01 * self.seen[0]))


class HookCounter(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        calls = itertools.count()
        self.first.register_forward_hook(lambda module, given, out: out * (1 + 0.1 * (next(calls) % 2)))


class GradientHook(Net):
    """Doubles a gradient by a hook on a parameter, which a functional call never sees."""

    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.first.weight.register_hook(lambda gradient: 2 * gradient)


class OwnGenerator(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.generator = torch.Generator().manual_seed(0)

    def middle(self, h: Tensor) -> Tensor:
        return h + 0.1 * torch.randn(8, generator=self.generator)


class Reseeding(Net):
    def middle(self, h: Tensor) -> Tensor:
        torch.manual_seed(0)
        return h + 0.1 * torch.randn_like(h)


class Freezing(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.left = 2

    def middle(self, h: Tensor) -> Tensor:
        self.left -= self.left > 0
        self.first.requires_grad_(self.left > 0)
        return h


class ModeToggle(Net):
    """Dropout is switched off at every other pass."""

    def middle(self, h: Tensor) -> Tensor:
        self.drop.train(not self.drop.training)
        return h


class Swapping(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.other = nn.Linear(8, CLASSES)

    def middle(self, h: Tensor) -> Tensor:
        self.last, self.other = self.other, self.last
        return h


class SeedsOwnTensor(Net):
    """A plain tensor that is another for every seed: the stack has the one of its skeleton."""

    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.order = torch.randperm(8)

    def middle(self, h: Tensor) -> Tensor:
        return h[:, self.order] * torch.arange(8.0)


class HiddenLayer(Net):
    """A layer in a list, which is no submodule."""

    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.hidden = [nn.Linear(8, 8)]

    def middle(self, h: Tensor) -> Tensor:
        return self.hidden[0](h)


class FirstPass(Net):
    """Sets its weights by the first batch it sees, as data-dependent initialisation does."""

    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.scale, self.ready = nn.Parameter(torch.ones(8)), False

    def middle(self, h: Tensor) -> Tensor:
        if not self.ready:
            self.scale.data = 1 / (h.detach().std(0) + 1e-3)
            self.ready = True
        return h * self.scale


class ValidationCounter(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.validations = 0

    def middle(self, h: Tensor) -> Tensor:
        self.validations += not self.training
        return h / (1 + 0.1 * self.validations)


class LossCounter:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        self.calls += 1
        return nn.functional.cross_entropy(output, target) * (1 + 0.1 * (self.calls % 3))


class MetricMemory:
    def __init__(self) -> None:
        self.best = [0]

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        self.best[0] += 1
        return (output.argmax(-1) == target).float() / self.best[0]


#: What each does, and what a refusal must say of it.
REFUSED: dict[type[Net], tuple[str, str]] = {
    Counter: ("an int attribute counts", r"impure_models\.py:\d+: the model's attribute `updates` changes"),
    NestedCounter: ("a set in a dict in a list grows", r"`state\['seen'\]\[1\]\['deep'\]` changes"),
    DataclassState: ("a dataclass counts", r"impure_models\.py:\d+: .*`progress\.steps` changes"),
    SlottedState: ("a slot of an object counts", r"`slots\.inner\._Slots__count` changes"),
    CountIterator: ("itertools.count", r"`clock.*` changes"),
    GeneratorState: ("a Python generator", r"`scales.*` changes"),
    PythonRandom: ("random.random()", r"impure_models\.py:\d+: the model draws from Python's `random`"),
    OwnPythonRandom: ("a random.Random of its own", r"`dice` changes"),
    NumpyRandom: ("np.random.uniform()", r"draws from NumPy's `random`"),
    OwnNumpyRandom: ("a NumPy generator of its own", r"`rng.* changes"),
    FreshNumpyRandom: (
        "an unseeded NumPy generator a pass",
        r"impure_models\.py:\d+: .*draws from the operating system",
    ),
    Clock: ("time.time()", r"impure_models\.py:\d+: the model reads the clock"),
    SystemRandom: ("os.urandom()", r"impure_models\.py:\d+: .*draws from the operating system"),
    ClassCounter: ("a class attribute counts", r"the class attribute `ClassCounter\.calls` changes"),
    GlobalCounter: ("a global's entry counts", r"the global `_CALLS\['n'\]` changes"),
    ClosureCounter: ("an enclosed variable counts", r"the enclosed variable `calls.*` changes"),
    DefaultArgument: ("a default argument grows", r"the default argument of _default: `seen` changes"),
    PlainTensorMean: ("a running mean that is no buffer", r"`running` changes"),
    NumpyArrayState: ("an array counts", r"`seen` changes"),
    HookCounter: ("a forward hook counts", r"`calls.*` changes"),
    GradientHook: ("a hook on a parameter", r"gradient of first\.weight"),
    OwnGenerator: ("a torch.Generator of its own", r"torch\.Generator of its own"),
    Reseeding: ("torch.manual_seed() a pass", r"impure_models\.py:\d+: .*handles torch's random generator"),
    Freezing: ("freezes a layer after 2 passes", r"impure_models\.py:\d+: .*`left` changes"),
    ModeToggle: ("a submodule's mode toggles", r"`drop\.training` changes"),
    Swapping: ("two submodules change places", r"the parameter last\.weight is replaced"),
    SeedsOwnTensor: ("a plain tensor of its seed", r"`order` is another in a model of another seed"),
    HiddenLayer: ("a layer in a plain list", r"`hidden\[0\]\.\w+` is another in a model of another seed"),
    FirstPass: ("weights set by the first batch", r"impure_models\.py:\d+: .*`ready` changes"),
    ValidationCounter: ("counts validations", r"`validations` changes in the first passes"),
}


class ReassignedMean(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.register_buffer("mean", torch.zeros(8))

    def middle(self, h: Tensor) -> Tensor:
        if self.training:
            self.mean = 0.5 * self.mean + 0.5 * h.detach().mean(0)
        return h - 3 * self.mean


class ReassignedCount(Net):
    """A temperature that falls with the updates, counted in a buffer that is assigned anew."""

    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def middle(self, h: Tensor) -> Tensor:
        if self.training:
            self.count = self.count + 1
        return h * torch.where(self.count > 20, 1.5, 1.0)


class InPlaceMean(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.register_buffer("mean", torch.zeros(8))

    def middle(self, h: Tensor) -> Tensor:
        if self.training:
            self.mean.mul_(0.9).add_(h.detach().mean(0), alpha=0.1)
        return h - self.mean


class BatchNorm(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.norm = nn.BatchNorm1d(8)

    def middle(self, h: Tensor) -> Tensor:
        return self.norm(h)


class FunctionalDropout(Net):
    """Drops in validation too."""

    def middle(self, h: Tensor) -> Tensor:
        return nn.functional.feature_alpha_dropout(nn.functional.dropout(h, 0.2), 0.1, self.training)


class Noise(Net):
    def middle(self, h: Tensor) -> Tensor:
        return h + 0.1 * torch.randn_like(h) if self.training else h


class StochasticDepth(Net):
    def middle(self, h: Tensor) -> Tensor:
        kept = torch.rand(len(h), 1) < 0.8 if self.training else torch.tensor(0.8)
        return h + torch.relu(h) * kept


class Tied(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.back = nn.Linear(8, FEATURES)
        self.back.weight = nn.Parameter(self.first.weight.detach().t().clone())
        self.again = nn.Linear(FEATURES, 8)
        self.again.weight = self.first.weight

    def middle(self, h: Tensor) -> Tensor:
        return h + self.again(torch.tanh(self.back(h)))


class Recurrent(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.rnn = nn.LSTM(1, 4, 2, batch_first=True, dropout=p)
        self.out = nn.Linear(4, 8)

    def middle(self, h: Tensor) -> Tensor:
        return self.out(self.rnn(h.unsqueeze(-1))[0][:, -1])


class Attention(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.block = nn.TransformerEncoderLayer(8, 2, 8, dropout=p, batch_first=True)

    def middle(self, h: Tensor) -> Tensor:
        return self.block(h.unsqueeze(1).expand(-1, 3, -1)).mean(1)


class LazyMask(Net):
    """Makes a constant when it is first wanted, and keeps it."""

    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.mask: Tensor | None = None

    def middle(self, h: Tensor) -> Tensor:
        if self.mask is None:
            self.mask = torch.linspace(0.5, 1.5, 8)
        return h * self.mask


class WeightNorm(Net):
    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.norm = nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))

    def middle(self, h: Tensor) -> Tensor:
        return self.norm(h)


class NumpyWeights(Net):
    """Initial weights from NumPy and Python."""

    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.scale = nn.Parameter(torch.from_numpy(np.random.uniform(0.5, 1.5, 8)).float() * random.uniform(0.5, 1.5))

    def middle(self, h: Tensor) -> Tensor:
        return h * self.scale


#: Models that must stack, and what they do.
TRAINED: dict[type[Net], str] = {
    Net: "nothing special",
    ReassignedMean: "a buffer assigned anew",
    ReassignedCount: "a counting buffer assigned anew",
    InPlaceMean: "a buffer changed in place",
    BatchNorm: "batch normalisation",
    FunctionalDropout: "F.dropout, also in validation",
    Noise: "Gaussian noise",
    StochasticDepth: "drops samples' branches",
    Tied: "tied weights",
    Recurrent: "LSTM of two layers",
    Attention: "transformer layer",
    LazyMask: "a constant made at the first pass",
    WeightNorm: "weight normalisation",
    NumpyWeights: "weights drawn from NumPy and Python",
}


def task_of(model: type[Net], p: float) -> Task:
    return replace(small_task(), new_model=lambda: model(p))


def with_loss(loss: Any) -> Task:
    return replace(small_task(), loss=loss)


def with_metric(metric: Any) -> Task:
    return replace(small_task(), metrics={"own": Metric("own", metric)})


def difference(task: Task, steps: int, *, compiled: bool, slots: int = 2, trials: int = 3) -> float:
    """How far the stack's losses are from the loop's, relatively, at most; the loop draws what the stack does.

    The last trial is put into a slot that another one has left.
    """
    many = [falling_trial(seed, steps, RECIPE.optimizer.lr) for seed in range(trials)]
    many = [replace(one, curves={"lr": flat(RECIPE.optimizer.lr, steps)}) for one in many]
    traces = VectorEngine(slots=slots, compile=compiled).run(task, many, RECIPE)
    return max(_distance(task, trace, steps) for trace in traces)


def _distance(task: Task, trace: Trace, steps: int) -> float:
    alone = Followed(task, trace.trial.seed, RECIPE, steps, torch.tensor([key_of(trace.trial.seed)], dtype=torch.int32))
    worst = 0.0
    for step in range(steps):
        loss = alone.update().loss.item()
        worst = max(worst, abs(trace.train_loss[step] - loss) / max(abs(loss), 1e-6))
        if (step + 1) % RECIPE.eval_every == 0:
            value, found = alone.validated()[0].item(), trace.evaluations[step // RECIPE.eval_every].values["val_loss"]
            worst = max(worst, abs(found - value) / max(abs(value), 1e-6))
    return worst
