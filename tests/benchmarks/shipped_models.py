"""Every shipped model in the loop engine, against the same network put together by hand from torch's own layers.

By hand means nn.Sequential, nn.GRU, nn.TransformerEncoder and the like, trained by a plain loop that records nothing.
Both start from the same weights and see the same batches, so their last losses must agree. Three times are taken: those
of the network by hand and of the shipped model in the plain loop, update by update in turns, and that of the shipped
model in the engine. What is judged is the shipped model over the one by hand in the same loop, and the engine over the
plain loop with the limit of `loop_overhead.py`. Processor time of one thread, so that other programs matter little.

    python tests/benchmarks/shipped_models.py [--rounds 9] [--seconds 0.3] [--only transformer]
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lrtool.engine.device import intra_threads
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.observer import Observer
from lrtool.engine.trials import Recipe, Trial
from lrtool.optimizers import KINDS as OPTIMIZERS
from lrtool.schedules import KINDS as SCHEDULES
from lrtool.tasks.base import BuildContext, Task, seeded_model
from lrtool.tasks.build import build_task
from lrtool.tasks.datasets import KINDS as DATASETS
from lrtool.tasks.losses import KINDS as LOSSES
from lrtool.tasks.models import KINDS as MODELS
from lrtool.tasks.sources import BatchOrder, TensorSource

#: Allowed of the shipped model over the one by hand, and of the engine over the plain loop.
LIMIT, LIMIT_OF_ENGINE = 1.03, 1.10
#: Updates before the clock counts.
WARM = 5
OPTIMIZER = OPTIMIZERS["sgd"](lr=0.05, momentum=0.9)


class ByHand(nn.Module):
    """A residual network of two stages, as torchvision's are written."""

    class Block(nn.Module):
        """Two convolutions around a shortcut."""

        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.relu = nn.ReLU(inplace=True)
            self.downsample: nn.Module | None = None
            if stride != 1 or inputs != outputs:
                self.downsample = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                )

        def forward(self, x: Tensor) -> Tensor:
            """(batch, inputs, height, width) → (batch, outputs, …)."""
            out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            return self.relu(out + (x if self.downsample is None else self.downsample(x)))

    def __init__(self, first: int, second: int) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(1, first, 3, 1, 1, bias=False), nn.BatchNorm2d(first)
        self.relu = nn.ReLU(inplace=True)
        self.layers = nn.Sequential(self.Block(first, first, 1), self.Block(first, second, 2))
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(second, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, height, width) → (batch, 10)."""
        out: Tensor = self.fc(self.pool(self.layers(self.relu(self.bn(self.conv(x))))).flatten(1))
        return out


class RowsGru(nn.Module):
    """An image's rows through nn.GRU."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.gru, self.fc = nn.GRU(8, width, depth, batch_first=True), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, rows, columns) → (batch, 10)."""
        out: Tensor = self.fc(self.gru(x.squeeze(1))[0][:, -1])
        return out


class TextGru(nn.Module):
    """Tokens through nn.Embedding and nn.GRU."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.gru, self.fc = nn.GRU(width, width, batch_first=True), nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, steps) → (batch, steps, vocabulary)."""
        out: Tensor = self.fc(self.gru(self.embedding(tokens))[0])
        return out


class TextTransformer(nn.Module):
    """Tokens through nn.TransformerEncoder with a causal mask."""

    def __init__(self, vocabulary: int, context: int, width: int, depth: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        norm = nn.LayerNorm(width)
        self.encoder = nn.TransformerEncoder(layer, depth, norm, enable_nested_tensor=False)
        self.fc = nn.Linear(width, vocabulary)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(context), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, steps) → (batch, steps, vocabulary)."""
        x = self.token(tokens) + self.position.weight[: tokens.shape[1]]
        out: Tensor = self.fc(self.encoder(x, mask=self.mask, is_causal=True))
        return out

    @staticmethod
    def order(names: list[str]) -> list[str]:
        """The parameters as the shipped model orders them: each layer's norms stand before what they feed."""
        place = ["norm1", "self_attn", "norm2", "linear1", "linear2"]

        def key(name: str) -> tuple[int, int, int]:
            at = ["token", "position", "encoder.layers", "encoder.norm", "fc"]
            part = next(number for number, start in enumerate(at) if name.startswith(start))
            if part != 2:
                return part, 0, 0
            layer, inner = name.split(".")[2:4]
            return part, int(layer), place.index(inner)

        return sorted(names, key=key)


@dataclass(frozen=True)
class Case:
    """A shipped model on a data set, and the same by hand."""

    name: str
    kind: str
    fields: Mapping[str, Any]
    by_hand: Callable[[], nn.Module]
    data: Mapping[str, Any] = field(default_factory=lambda: {"kind": "digits", "batch_size": 64})

    def task(self) -> Task:
        """Without validation: training steps are what is compared."""
        data = dict(self.data)
        made = MODELS[self.kind](**self.fields), DATASETS[data.pop("kind")](**data)
        return dataclasses.replace(
            build_task(self.name, *made, LOSSES["cross_entropy"](), None, BuildContext()), val=None
        )


def mlp(*between: Callable[[int], nn.Module]) -> nn.Module:
    """64-128-128-10, with these layers after each hidden one."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs in (64, 128):
        layers += [nn.Linear(inputs, 128), *(made(128) for made in between)]
    return nn.Sequential(*layers, nn.Linear(128, 10))


def cnn(norm: bool) -> nn.Module:
    """Two convolutions of 16 and 32 channels, each with ReLU and pooling."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 16), (16, 32)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=not norm), *[nn.BatchNorm2d(outputs)] * norm]
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128, 10))


def relu(_: int) -> nn.Module:
    """The usual nonlinearity."""
    return nn.ReLU()


TEXT = {"kind": "text", "context": 64, "batch_size": 32}


def cases() -> Iterator[Case]:
    """Every kind of model that is shipped, with and without what it can be given."""
    text = DATASETS["text"](context=64).load(BuildContext()).shape
    assert text.vocabulary is not None
    vocabulary = text.vocabulary
    yield Case("linear", "linear", {}, lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))
    yield Case("mlp", "mlp", {}, lambda: mlp(relu))
    yield Case("mlp batch", "mlp", {"norm": "batch"}, lambda: mlp(nn.BatchNorm1d, relu))
    yield Case("mlp layer", "mlp", {"norm": "layer"}, lambda: mlp(nn.LayerNorm, relu))
    yield Case("mlp dropout", "mlp", {"dropout": 0.2}, lambda: mlp(relu, lambda _: nn.Dropout(0.2)))
    yield Case("cnn", "cnn", {}, lambda: cnn(False))
    yield Case("cnn batch", "cnn", {"norm": "batch"}, lambda: cnn(True))
    yield Case("resnet", "resnet", {}, lambda: ByHand(16, 32))
    yield Case("gru rows", "gru", {"depth": 2}, lambda: RowsGru(64, 2))
    yield Case("gru text", "gru", {}, lambda: TextGru(vocabulary, 64), TEXT)
    for dropout in (0.0, 0.1):
        yield Case(
            f"transformer{' dropout' * bool(dropout)}",
            "transformer",
            {"dropout": dropout},
            lambda dropout=dropout: TextTransformer(vocabulary, 64, 64, 2, 4, dropout),  # type: ignore[misc]
            TEXT,
        )


def alike(case: Case, shipped: nn.Module) -> nn.Module:
    """The network by hand, with the shipped model's weights."""
    made = case.by_hand()
    parameters = dict(made.named_parameters())
    order = getattr(made, "order", list)(list(parameters))
    with torch.no_grad():
        for name, weight in zip(order, shipped.parameters(), strict=True):
            parameters[name].copy_(weight)
    return made


def updates(task: Task, model: nn.Module) -> Iterator[Tensor]:
    """The hand-written loop: an update at every step, and its loss."""
    assert isinstance(task.train, TensorSource) and task.loss is not None
    (inputs,), target, loss_fn = task.train.inputs, task.train.target, task.loss
    optimizer = OPTIMIZER.build(model.named_parameters())
    order = BatchOrder(0, len(target), task.batch_size)
    for epoch in itertools.count():
        for rows in torch.from_numpy(order.epoch(epoch)):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_fn(model(inputs.index_select(0, rows)), target.index_select(0, rows))
            loss.backward()
            optimizer.step()
            yield loss.detach()


def plain(task: Task, models: Sequence[nn.Module], steps: int) -> list[tuple[float, float]]:
    """Of each model, milliseconds per update and the last loss; they take turns at every update."""
    loops = [updates(task, model) for model in models]
    spent, losses = [0.0] * len(loops), [torch.empty(())] * len(loops)
    for step in range(steps + WARM):
        # Who goes first changes, so that a drift of the machine's speed favours none.
        for number in range(len(loops)) if step % 2 else reversed(range(len(loops))):
            began = time.process_time()
            losses[number] = next(loops[number])
            spent[number] += (time.process_time() - began) * (step >= WARM)
    return [(1000 * seconds / steps, loss.item()) for seconds, loss in zip(spent, losses, strict=True)]


def engine(task: Task, steps: int) -> tuple[float, float]:
    """The loop engine: milliseconds per update, and the last loss. Starting it is left out, as the plain loop's is."""
    steps += WARM
    curve = SCHEDULES["constant"]().bind(OPTIMIZER.lr, steps)
    began = last = 0.0

    class Watch(Observer):
        """When the first update is through, and the last."""

        def recorded(self, trial: int, trace: Any, start: int) -> None:
            nonlocal began, last
            began, last = began or time.process_time(), time.process_time()

    (trace,) = LoopEngine().run(task, [Trial(0, steps, {"lr": curve})], Recipe(OPTIMIZER), Watch())
    return 1000 * (last - began) / (steps - 1), float(trace.train_loss[-1])


def measure(case: Case, rounds: int, seconds: float) -> tuple[float, float, bool]:
    """Print a case; the ratios of models and of loops, and whether losses agree."""
    task = case.task()
    once, _ = plain(task, [seeded_model(task, 0)], 10)[0]
    steps = max(20, round(1000 * seconds / once))
    found: list[tuple[float, float, float]] = []
    losses: dict[str, float] = {}
    for number in range(rounds):
        looped = engine(task, steps) if number % 2 else None
        shipped = seeded_model(task, 0).train()
        pair = plain(task, [alike(case, shipped).train(), shipped], steps)
        three = (*pair, looped or engine(task, steps))
        losses = {name: loss for name, (_, loss) in zip(("by hand", "shipped", "in loop"), three, strict=True)}
        found.append((three[0][0], three[1][0], three[2][0]))
    hand, own, looping = (statistics.median(column) for column in zip(*found, strict=True))
    models = statistics.median(own / hand for hand, own, _ in found)
    loops = statistics.median(looping / own for _, own, looping in found)
    # Rounding grows over the updates; dropout draws what the global generator gives.
    drawn = "dropout" in case.name
    agree = drawn or all(math.isclose(loss, losses["by hand"], rel_tol=0.02, abs_tol=1e-3) for loss in losses.values())
    print(
        f"{case.name:22}{steps:7}{hand:10.4f}{own:10.4f}{looping:10.4f}"
        f"{models:12.3f}{loops:10.3f}   {'' if agree else 'the losses differ: ' + str(losses)}",
        flush=True,
    )
    return models, loops, agree


def main() -> int:
    """Print the table; 0 if all keep within the limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.3, help="processor time of each measurement, roughly")
    parser.add_argument("--only", default="", help="models whose names begin so")
    options = parser.parse_args()
    print(f"ms per update, processor time of one thread; medians of {options.rounds} rounds")
    print(f"{'':22}{'steps':>7}{'by hand':>10}{'shipped':>10}{'in loop':>10}{'shipped/hand':>14}{'loop/plain':>12}")
    with intra_threads(1):
        chosen = [case for case in cases() if case.name.startswith(options.only)]
        found = [measure(case, options.rounds, options.seconds) for case in chosen]
    models, loops = max(each[0] for each in found), max(each[1] for each in found)
    passed = models <= LIMIT and loops <= LIMIT_OF_ENGINE and all(each[2] for each in found)
    print(
        f"{'PASS' if passed else 'FAIL'}: shipped over by hand at most {models:.3f} (limit {LIMIT:.2f}),"
        f" the engine over the plain loop at most {loops:.3f} (limit {LIMIT_OF_ENGINE:.2f})"
    )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
