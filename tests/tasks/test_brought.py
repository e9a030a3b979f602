"""Models and data as people have them: loaders, streams, mappings, tuples, lazy layers, targets of every form."""

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, WeightedRandomSampler, random_split

from lrtool.engine.batches import Batches
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.trials import Recipe
from lrtool.engine.vector.obstacles import obstacle
from lrtool.errors import LrtoolError, TaskError, UsageError
from lrtool.optimizers import KINDS as OPTIMIZERS
from lrtool.status import Status
from lrtool.tasks import losses, metrics
from lrtool.tasks.adapt import adapt
from lrtool.tasks.base import BuildContext, Data, DataShape, Model, Task
from lrtool.tasks.base import Dataset as DataSpec
from lrtool.tasks.build import build_task
from tests.engine.contract import trial

X = torch.randn(120, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long() + (X[:, 1] > 1).long()


class Given(DataSpec):
    kind: str
    returned: object = None
    target: str | None = None
    samples: int = 1000

    def load(self, context: BuildContext) -> Data:
        return adapt(self.returned, self.val_fraction, self.split_seed, self.samples, self.target)


class Made(Model):
    kind: str
    make: object = None
    output: int | str | None = None

    def build(self, shape: DataShape, context: BuildContext) -> nn.Module:
        return self.make()


def net(outputs: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, outputs))


def task_of(returned: object, make: Callable = net, loss: object = None, metric: list | None = None, **fields) -> Task:
    spec = losses.KINDS[loss]() if isinstance(loss, str) else loss
    own = {name: fields.pop(name) for name in ("output",) if name in fields}
    asked = [metrics.KINDS[name]() for name in metric] if metric is not None else None
    data = Given.model_construct(
        kind="given",
        returned=returned,
        **{"batch_size": 8, "val_fraction": 0.2, "split_seed": 0, "drop_last": True, **fields},
    )
    object.__setattr__(data, "sampler", fields.get("sampler", "random"))
    model = Made.model_construct(kind="made", make=make, output=own.get("output"))
    return build_task("t", model, data, spec, asked, BuildContext())


def trains(task: Task) -> dict[str, float]:
    """Train it for an epoch; the last evaluation's values."""
    (trace,) = LoopEngine().run(task, [trial(0, 12, 0.05)], Recipe(OPTIMIZERS["sgd"](lr=0.05)))
    assert trace.status is Status.FINISHED, trace.reason
    return dict(trace.evaluations[-1].values)


class Texts(Dataset):
    """Texts of several lengths, which only `pad` makes a batch of."""

    def __init__(self, collate: bool = True) -> None:
        if collate:
            self.collate_fn = pad
        self.items = [(torch.arange(1, 3 + n % 5), n % 2) for n in range(60)]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.items[index]


def pad(samples: list) -> tuple[Tensor, Tensor]:
    texts = nn.utils.rnn.pad_sequence([text for text, _ in samples], batch_first=True)
    return texts, torch.tensor([label for _, label in samples])


class Bag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(20, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, texts: Tensor) -> Tensor:
        return self.head(self.embedding(texts))


LOADED = {
    "a loader with a collate function": lambda: DataLoader(Texts(collate=False), batch_size=4, collate_fn=pad),
    "a loader of a data set with one": lambda: DataLoader(Texts(), batch_size=4, collate_fn=Texts().collate_fn),
    "a pair of loaders": lambda: tuple(DataLoader(Texts(False), 4, collate_fn=pad) for _ in range(2)),
    "random_split": lambda: random_split(Texts(), [40, 20]),
    "a subset": lambda: random_split(Texts(), [40, 20])[0],
    "chained data sets": lambda: ConcatDataset([Texts(), Texts()]),
    "split chained data sets": lambda: random_split(ConcatDataset([Texts(), Texts()]), [100, 20]),
}


@pytest.mark.parametrize("name", LOADED)
def test_samples_are_put_together_as_their_loader_does(name: str) -> None:
    assert np.isfinite(trains(task_of(LOADED[name](), Bag, "cross_entropy", batch_size=6))["val_loss"])


def test_samples_that_no_one_can_put_together_are_explained() -> None:
    with pytest.raises(TaskError, match="return a DataLoader with its collate_fn"):
        task_of(Texts(collate=False), Bag, "cross_entropy")


def test_a_loader_says_its_batch_size_and_its_weights() -> None:
    weights = torch.arange(120.0) + 1
    pairs = torch.utils.data.TensorDataset(X, Y)
    data = adapt(DataLoader(pairs, batch_size=5, sampler=WeightedRandomSampler(weights, 120)), 0.25, 0)
    assert data.batch_size == 5 and data.weights is not None and len(data.weights) == len(data.train) == 90
    task = task_of(DataLoader(pairs, batch_size=5, sampler=WeightedRandomSampler(weights, 120)))
    assert task.batch_size == 5 and trains(task)


class Stream(IterableDataset):
    def __init__(self, count: int | None) -> None:
        self.count = count

    def __iter__(self):
        number = 0
        while self.count is None or number < self.count:
            yield X[number % 120], Y[number % 120]
            number += 1


@pytest.mark.parametrize(
    ("stream", "kept"),
    [
        (lambda: Stream(50), 50),
        (lambda: Stream(None), 1000),
        (lambda: DataLoader(Stream(50), batch_size=8), 50),
        (lambda: ((x, y) for x, y in zip(X, Y, strict=True)), 120),
        (lambda: (Stream(50), Stream(20)), 50),
    ],
)
def test_streams_are_kept(stream: Callable, kept: int, caplog: pytest.LogCaptureFixture) -> None:
    task = task_of(stream(), val_fraction=0.0, loss="cross_entropy")
    assert len(task.train) == kept and "a stream" in caplog.text
    (trace,) = LoopEngine().run(task, [trial(0, 6, 0.05)], Recipe(OPTIMIZERS["sgd"](lr=0.05)))
    assert trace.status is Status.FINISHED


def test_an_empty_stream_is_explained() -> None:
    with pytest.raises(TaskError, match="the stream of samples is empty"):
        adapt(Stream(0), 0.2, 0)


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, numbers: Tensor, more: Tensor) -> Tensor:
        return self.net(numbers + more)


class Whole(Named):
    def forward(self, row: dict) -> Tensor:
        return self.net(row["numbers"] + row["more"])


def rows(key: str) -> list:
    return [{"numbers": x, "more": x / 2, key: y} for x, y in zip(X, Y, strict=True)]


@pytest.mark.parametrize("key", ["target", "label", "labels", "y"])
def test_the_target_of_mappings_is_what_the_model_does_not_take(key: str) -> None:
    assert "val_accuracy" in trains(task_of(rows(key), Named, "cross_entropy"))


def test_the_target_of_mappings_can_be_named() -> None:
    assert trains(task_of(rows("answer"), Named, "cross_entropy", target="answer"))


@pytest.mark.parametrize("model", [Named, Whole])
def test_inputs_inside_a_mapping(model: type[nn.Module]) -> None:
    nested = [({"numbers": x, "more": x / 2}, y) for x, y in zip(X, Y, strict=True)]
    assert trains(task_of(nested, model, "cross_entropy"))


LAZY = {
    "linear": lambda: nn.Sequential(nn.LazyLinear(16), nn.ReLU(), nn.LazyLinear(3)),
    "batch norm": lambda: nn.Sequential(nn.LazyLinear(16), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(3)),
    "convolution": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 6)), nn.LazyConv1d(4, 3), nn.Flatten(), nn.Dropout(0.5), nn.LazyLinear(3)
    ),
}


@pytest.mark.parametrize("name", LAZY)
def test_lazy_layers_learn_their_sizes(name: str) -> None:
    task = task_of((X, Y), LAZY[name])
    assert trains(task)
    torch.manual_seed(3)
    one = task.new_model()
    torch.manual_seed(3)
    for a, b in zip(one.state_dict().values(), task.new_model().state_dict().values(), strict=True):
        assert torch.equal(a, b)


class Returning(nn.Module):
    """Gives its logits in one of many wrappings."""

    def __init__(self, wrap: Callable) -> None:
        super().__init__()
        self.net, self.wrap = net(), wrap

    def forward(self, x: Tensor) -> object:
        return self.wrap(self.net(x))


@dataclasses.dataclass
class Out:
    logits: Tensor
    hidden: Tensor


WRAPPED = {
    "a tuple": lambda logits: (logits, (logits * 2, logits * 3)),
    "a list": lambda logits: [logits, logits * 2],
    "a mapping": lambda logits: {"state": logits * 2, "logits": logits},
    "a mapping of one": lambda logits: {"whatever": logits},
    "a data class": lambda logits: Out(logits, logits * 2),
    "an object": lambda logits: SimpleNamespace(prediction=logits, hidden=logits * 2),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_predictions_are_found_in_what_a_model_returns(name: str) -> None:
    plain = task_of((X, Y), lambda: Returning(lambda logits: logits))
    wrapped = task_of((X, Y), lambda: Returning(WRAPPED[name]), loss="cross_entropy")
    assert trains(wrapped) == trains(plain) and set(wrapped.metrics) == {"accuracy"}


class Sometimes(Returning):
    """Returns more in training (or in evaluation) than else, as models with auxiliary heads do."""

    def __init__(self, wrap: Callable, training: bool) -> None:
        super().__init__(wrap)
        self.when = training

    def forward(self, x: Tensor) -> object:
        return super().forward(x) if self.training == self.when else self.net(x)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", WRAPPED)
def test_a_model_may_return_more_in_training_than_in_validation(name: str, training: bool) -> None:
    plain = task_of((X, Y), lambda: Returning(lambda logits: logits))
    wrapped = task_of((X, Y), lambda: Sometimes(WRAPPED[name], training), loss="cross_entropy")
    assert trains(wrapped) == trains(plain)


class Late(nn.Module):
    """Makes a layer in its first forward pass."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self.first = nn.Linear(6, first) if first else nn.Identity()
        self.head: nn.Module | None = None

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.head is None:
            self.head = nn.Linear(x.shape[1], 3)
        return self.head(x)


@pytest.mark.parametrize("first", [0, 5])
def test_layers_that_are_made_late_are_trained(first: int) -> None:
    task = task_of((X, Y), lambda: Late(first))
    assert len(list(task.new_model().parameters())) == 2 + 2 * bool(first)
    assert all(parameter.requires_grad for parameter in task.new_model().parameters())
    assert np.isfinite(trains(task)["val_loss"])


@pytest.mark.parametrize(("wrap", "output"), [(lambda y: (y * 0, y), 1), (lambda y: {"a": y * 0, "b": y}, "b")])
def test_one_can_say_where_predictions_are(wrap: Callable, output: int | str) -> None:
    assert trains(task_of((X, Y), lambda: Returning(wrap), loss="cross_entropy", output=output))


@pytest.mark.parametrize(
    ("wrap", "output", "message"),
    [
        (lambda y: {"a": y, "b": y}, None, "with a, b, and which tensor the predictions are is not clear"),
        (lambda y: ((y, y), y), None, "write model: {use: …, output: logits}"),
        (lambda y: {"a": y, "b": y}, "c", "has no 'c'; it has: a, b"),
        (lambda y: (y, y), 2, "has no 2; write 0 … 1"),
    ],
)
def test_predictions_that_are_not_found(wrap: Callable, output: object, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        task_of((X, Y), lambda: Returning(wrap), loss="cross_entropy", output=output)


def test_a_loss_beside_the_logits_is_the_models_own() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net()

        def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            logits = self.net(x)
            return logits, functional.cross_entropy(logits, y)

    mapped = [{"x": x, "y": y} for x, y in zip(X, Y, strict=True)]
    task = task_of(mapped, Own)
    assert task.loss is None and not task.metrics and "val_loss" in trains(task)


class Seeing(nn.Module):
    """A model that is given the targets, and returns what `wrap` makes of logits and loss."""

    def __init__(self, wrap: Callable) -> None:
        super().__init__()
        self.net, self.wrap = net(), wrap

    def forward(self, x: Tensor, target: Tensor) -> object:
        logits = self.net(x)
        return self.wrap(logits, functional.cross_entropy(logits, target))


class Offered(Seeing):
    """The same, where the targets may be left out, as in nanoGPT."""

    def forward(self, x: Tensor, targets: Tensor | None = None) -> object:
        logits = self.net(x)
        return self.wrap(logits, None if targets is None else functional.cross_entropy(logits, targets))


class Pairs(Dataset):
    def __len__(self) -> int:
        return 120

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return X[index], Y[index]


@dataclasses.dataclass(slots=True)
class Slots:
    logits: Tensor
    loss: Tensor | None = None


OWN_LOSSES = {
    "the loss alone": lambda logits, loss: loss,
    "a tuple of it": lambda logits, loss: (loss,),
    "beside the logits": lambda logits, loss: (logits, loss),
    "before the logits": lambda logits, loss: (loss, logits),
    "by name": lambda logits, loss: {"z": logits, "loss": loss},
    "in an object with slots": Slots,
}


@pytest.mark.parametrize("given", [(X, Y), Pairs(), DataLoader(Pairs(), 8)], ids=["tensors", "samples", "loader"])
@pytest.mark.parametrize("model", [Seeing, Offered])
@pytest.mark.parametrize("wrap", OWN_LOSSES)
def test_a_model_that_makes_its_loss_of_the_targets_gets_them(wrap: str, model: type, given: object) -> None:
    task = task_of(given, lambda: model(OWN_LOSSES[wrap]))
    assert task.loss is None and not task.metrics
    assert trains(task)["val_loss"] == pytest.approx(trains(task_of((X, Y), net))["val_loss"], rel=1e-5)


@pytest.mark.parametrize("wrap", ["beside the logits", "in an object with slots"])
def test_a_loss_that_is_asked_for_is_one_of_the_predictions(wrap: str) -> None:
    for model in (Seeing, Offered):
        task = task_of((X, Y), lambda model=model: model(OWN_LOSSES[wrap]), loss="cross_entropy")
        assert task.loss is not None and set(trains(task)) == {"val_loss", "val_accuracy"}


def test_targets_that_are_offered_in_vain_are_no_inputs() -> None:
    class Ignoring(Seeing):
        def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
            assert y is None or not self.training or not torch.is_grad_enabled() or len(y) == 8
            return self.net(x)

    task = task_of((X, Y), lambda: Ignoring(None))
    assert task.loss is not None and len(task.train.take(torch.arange(2)).inputs) == 1


def test_a_number_beside_the_logits_that_cannot_be_trained_is_no_loss(caplog) -> None:
    task = task_of((X, Y), lambda: Returning(lambda y: (y, y.detach().mean())))
    assert task.loss is not None and "val_accuracy" in trains(task)
    assert task_of((X, Y), lambda: Returning(lambda y: (y, y.square().mean()))).loss is None
    assert "does not see the targets" in caplog.text


def classes(n: int = 120) -> Tensor:
    return Y[:n]


IMAGES = torch.randn(120, 2, 4, 4, generator=torch.Generator().manual_seed(1))
PIXELS = (IMAGES.sum(1) > 0).long() + (IMAGES[:, 0] > 1).long()

#: Targets of every form: data, outputs of the model, the loss (None: the default) and the metric that goes with it.
TARGETS = {
    "segmentation": ((IMAGES, PIXELS), lambda: nn.Conv2d(2, 3, 1), None, "accuracy", "cross_entropy"),
    "token classes, torch's way": (
        (IMAGES.flatten(2), PIXELS.flatten(1)), lambda: nn.Conv1d(2, 3, 1), None, "accuracy", "cross_entropy"
    ),
    "soft targets": ((X, torch.softmax(X[:, :3], 1)), net, "cross_entropy", "accuracy", None),
    "one-hot, float": ((X, functional.one_hot(Y, 3).float()), net, None, "accuracy", None),
    "one-hot, whole": ((X, functional.one_hot(Y, 3)), net, None, "accuracy", None),
    "a column of classes": ((X, Y[:, None]), net, None, "accuracy", None),
    "bytes": ((X, Y.to(torch.uint8)), net, None, "accuracy", None),
    "several labels, whole": ((X, (X[:, :4] > 0).long()), lambda: net(4), None, "accuracy", None),
    "several labels, bool": ((X, X[:, :4] > 0), lambda: net(4), None, "accuracy", None),
    "several labels, float": ((X, (X[:, :4] > 0).float()), lambda: net(4), None, "accuracy", None),
    "one logit": ((X, (X[:, 0] > 0).long()), lambda: net(1), None, "accuracy", None),
    "one logit, float": ((X, (X[:, 0] > 0).float()), lambda: net(1), None, "accuracy", None),
    "one logit, flat": (
        (X, (X[:, 0] > 0).float()), lambda: nn.Sequential(net(1), nn.Flatten(0)), "bce", "accuracy", None
    ),
    "values, flat": ((X, X[:, 0] * 2), lambda: net(1), None, "mae", None),
    "values, as a column": ((X, X[:, :1] * 2), lambda: nn.Sequential(net(1), nn.Flatten(0)), None, "mae", None),
    "classes from 1": ((X, Y + 1), net, None, "accuracy", None),
    "-1 and 1": ((X, (X[:, 0] > 0).long() * 2 - 1), lambda: net(2), None, "accuracy", None),
    "words": ((X.numpy(), np.where(X[:, 0] > 0, "cat", "dog")), lambda: net(2), None, "accuracy", None),
}  # fmt: skip


@pytest.mark.parametrize("name", TARGETS)
def test_targets_of_every_form(name: str) -> None:
    data, make, loss, metric, _ = TARGETS[name]
    values = trains(task_of(data, make, loss))
    assert set(values) == {"val_loss", f"val_{metric}"} and all(map(np.isfinite, values.values()))
    if metric == "accuracy":
        assert 0 <= values["val_accuracy"] <= 1


class Words(Dataset):
    """Samples whose target is a word, as a tuple or a mapping."""

    def __init__(self, mapping: bool = False) -> None:
        self.mapping = mapping

    def __len__(self) -> int:
        return 120

    def __getitem__(self, index: int) -> object:
        word = ["cat", "dog", "ape"][int(Y[index])]
        return {"numbers": X[index], "more": X[index] * 0, "label": word} if self.mapping else (X[index], word)


@pytest.mark.parametrize("make", [lambda: Words(), lambda: (Words(), Words()), lambda: ConcatDataset([Words()])])
def test_words_are_classes_also_where_samples_are_read_one_by_one(make: Callable, caplog) -> None:
    task = task_of(make(), net)
    assert "'ape' is 0, 'cat' is 1, 'dog' is 2" in caplog.text and set(task.metrics) == {"accuracy"}
    numbers = torch.tensor([1, 2, 0])[Y]
    plain = trains(task_of((X, numbers) if not isinstance(make(), tuple) else ((X, numbers), (X, numbers)), net))
    assert trains(task) == pytest.approx(plain)


class ByName(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, first: Tensor) -> Tensor:
        return self.net(first)


def test_a_generator_of_batches_gives_their_samples(caplog) -> None:
    def batches():
        yield from ((X[at : at + 16], Y[at : at + 16]) for at in range(0, 120, 16))

    data = adapt(batches(), 0, 0)
    assert (
        len(data.train) == 120 and data.batch_size == 16 and data.train.take(torch.arange(3)).inputs[0].shape == (3, 6)
    )
    assert "120 samples are kept; its items are taken for batches, the first of 16" in caplog.text
    assert trains(task_of(batches(), net)) == pytest.approx(trains(task_of((X, Y), net, batch_size=16)))
    assert trains(task_of(({"first": x, "label": y} for x, y in batches()), ByName, "cross_entropy"))
    assert len(adapt(((x, int(y)) for x, y in zip(X, Y, strict=True)), 0, 0).train) == 120


class BatchStream(IterableDataset):
    """Items of a torch stream: batches of this many samples, or samples."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __iter__(self):
        if not self.size:
            return zip(X, Y, strict=True)
        return ((X[at : at + self.size], Y[at : at + self.size]) for at in range(0, 120, self.size))


def test_of_a_stream_whose_items_look_like_batches_it_is_said_what_they_are_taken_for(caplog) -> None:
    adapt(BatchStream(24), 0, 0)
    assert "items are taken for single samples (of batches make a `DataLoader(stream, batch_size=None)`)" in caplog.text
    caplog.clear()
    task = task_of(DataLoader(BatchStream(24), batch_size=None), net)
    adapt(BatchStream(0), 0, 0)
    assert "taken for single" not in caplog.text and task.train.take(torch.arange(1)).inputs[0].shape == (24, 6)


def test_of_endless_batches_no_more_are_read_than_are_kept() -> None:
    read = []

    def endless():
        while True:
            read.append(1)
            yield X[:16], Y[:16]

    data = adapt(endless(), 0, 0, most=100)
    assert (len(data.train), len(read)) == (100, 8)  # 7 make 112, and one more tells that there are more


NESTED = {
    "by name": (lambda n: {"first": X[n], "label": Y[n]}, ByName),
    "a pair before the target": (lambda n: ((X[n], X[n]), Y[n]), lambda: Twice(lambda both: both[0])),
    "a mapping before the target": (lambda n: ({"a": X[n], "b": 1}, Y[n]), lambda: Twice(lambda both: both["a"])),
}


class Twice(nn.Module):
    def __init__(self, first: Callable) -> None:
        super().__init__()
        self.net, self.first = net(), first

    def forward(self, both: object) -> Tensor:
        return self.net(self.first(both))


@pytest.mark.parametrize("name", NESTED)
def test_the_loss_of_nested_samples_follows_their_target(name: str) -> None:
    sample, make = NESTED[name]
    values = trains(task_of([sample(n) for n in range(120)], make))
    assert values == pytest.approx(trains(task_of((X, Y), net))) and "val_accuracy" in values
    measured = [{**sample(n), "label": X[n, :3]} if name == "by name" else (sample(n)[0], X[n, :3]) for n in range(120)]
    assert set(trains(task_of(measured, make))) == {"val_loss", "val_mae"}


def test_samples_may_be_lists() -> None:
    expected = trains(task_of((X, Y), net))
    for target in (Y, Y.tolist(), Y.numpy()):
        samples = [[x, y] for x, y in zip(X, target, strict=True)]
        assert trains(task_of(samples, net)) == pytest.approx(expected)
        assert trains(task_of((samples, samples[:20]), net))
    assert trains(task_of([X, Y], net)) == pytest.approx(expected)


def test_a_last_batch_that_a_model_does_not_take_is_found_beforehand() -> None:
    def norm() -> nn.Module:
        return nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))

    with pytest.raises(TaskError, match=r"an epoch's last batch, of 1 raised .* or write drop_last: true"):
        task_of((X[:97], Y[:97]), norm, drop_last=False, val_fraction=0)
    assert not task_of((X[:97], Y[:97]), norm, drop_last=True, val_fraction=0).uneven
    assert task_of((X[:98], Y[:98]), norm, drop_last=False, val_fraction=0).uneven


def test_forms_of_one_target_train_the_same() -> None:
    hot = functional.one_hot(Y, 3)
    found = [trains(task_of((X, target), net)) for target in (Y, Y[:, None], hot, hot.float(), Y + 1)]
    for each in found[1:]:
        assert each == pytest.approx(found[0], rel=1e-5)


def test_classes_can_be_drawn_or_weighed_equally() -> None:
    rare = (torch.arange(120) % 10 == 0).long()
    task = task_of((X, rare), lambda: net(2), sampler="balanced")
    assert task.weights is not None and task.weights[rare_of(task)].sum() == pytest.approx(task.weights.sum() / 2)
    assert trains(task)
    weighed = task_of((X, rare), lambda: net(2), losses.KINDS["cross_entropy"](class_weights="balanced"))
    output, target = torch.zeros(4, 2), torch.tensor([0, 0, 0, 1])
    weights = torch.tensor([0.5 / 0.9, 0.5 / 0.1])
    expected = functional.cross_entropy(output, target, weights)
    torch.testing.assert_close(weighed.loss_of(output, target), expected, rtol=0.05, atol=0)
    with pytest.raises(UsageError, match="not known beforehand"):
        task_of(Texts(), Bag, losses.KINDS["cross_entropy"](class_weights="balanced"))
    with pytest.raises(LrtoolError, match="not known beforehand"):
        task_of(Texts(), Bag, "cross_entropy", sampler="balanced")


def rare_of(task: Task) -> np.ndarray:
    return task.train.target.numpy() == 1


class Stateful(nn.Module):
    """Carries the state of an LSTM on from batch to batch, so all must be of one size."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head, self.state = nn.LSTM(6, 5, batch_first=True), nn.Linear(5, 3), None

    def forward(self, x: Tensor) -> Tensor:
        y, (h, c) = self.lstm(x[:, None], self.state)
        self.state = (h.detach(), c.detach())
        return self.head(y[:, 0])


class Sized(nn.Module):
    """Has a first state, or something else, as large as a training batch."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.net, self.how = net(), how
        self.register_buffer("noise", torch.zeros(16, 6))

    def forward(self, x: Tensor) -> Tensor:
        match self.how:
            case "adds":
                return self.net(x + self.noise)
            case "views":
                return self.net(x.view(16, 6))
            case "asserts":
                assert len(x) == 16, "sixteen samples, please"
                return self.net(x)
            case "copies":
                self.noise.copy_(x.detach())
                return self.net(x)
            case _:
                return self.net(torch.cat(x.chunk(16)).reshape(16, -1))


ONE_SIZE = {"stateful": Stateful} | {
    how: (lambda how=how: Sized(how)) for how in ("adds", "views", "asserts", "copies", "reshapes")
}


@pytest.mark.parametrize("name", ONE_SIZE)
def test_models_that_take_one_size_of_batches_train_and_are_validated(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    task = task_of((X, Y), ONE_SIZE[name], "cross_entropy", batch_size=16, val_fraction=0.3)
    assert task.whole_batches and (len(task.val), task.val_samples) == (36, 32)
    assert "only batches of 16 samples; the last 4 validation samples" in caplog.text
    assert np.isfinite(list(trains(task).values())).all()


def test_models_that_take_one_size_are_told_what_cannot_be() -> None:
    with pytest.raises(UsageError, match="but there are 12 for validation; write at most 12"):
        task_of((X, Y), ONE_SIZE["adds"], "cross_entropy", batch_size=16, val_fraction=0.1)
    with pytest.raises(UsageError, match=r"data\.drop_last: .*but the last of an epoch has 4"):
        task_of((X, Y), ONE_SIZE["adds"], "cross_entropy", batch_size=16, val_fraction=0.3, drop_last=False)


@pytest.mark.parametrize("make", [net, lambda: nn.Sequential(nn.BatchNorm1d(6), net()), lambda: nn.Sequential(net())])
def test_other_models_are_validated_whole(make: Callable) -> None:
    task = task_of((X, Y), make, batch_size=16)
    assert not task.whole_batches and task.val_samples == 24


@pytest.mark.parametrize(("samples", "size", "batches"), [(120, 50, 3), (120, 40, 3), (120, 119, 2), (120, 500, 1)])
@pytest.mark.parametrize("loaded", [False, True])
def test_remainders_are_batches_too(samples: int, size: int, batches: int, loaded: bool) -> None:
    data: object = torch.utils.data.TensorDataset(X, Y)
    task = task_of(
        DataLoader(data, batch_size=size) if loaded else data, val_fraction=0.0, batch_size=size, drop_last=False
    )
    assert task.batches_per_epoch == batches and task.batch_size == min(size, samples)
    every = Batches(task, 0, torch.device("cpu"))
    seen = [every(number) for number in range(2 * batches)]
    for epoch in (seen[:batches], seen[batches:]):
        assert torch.cat(epoch).sort().values.tolist() == list(range(samples))
    assert task.uneven == (samples % task.batch_size > 0)
    (trace,) = LoopEngine().run(task, [trial(0, 2 * batches, 0.05)], Recipe(OPTIMIZERS["sgd"](lr=0.05)))
    assert trace.status is Status.FINISHED
    if task.uneven:
        assert "the last batch of an epoch is smaller" in str(obstacle(task, Recipe(OPTIMIZERS["sgd"](lr=0.05))))


def test_a_remainder_that_is_dropped_is_left_out() -> None:
    loader = DataLoader(torch.utils.data.TensorDataset(X, Y), batch_size=50, drop_last=True)
    task = task_of(loader, val_fraction=0.0)
    assert task.batches_per_epoch == 2 and not task.uneven and task.drop_last
    assert obstacle(task, Recipe(OPTIMIZERS["sgd"](lr=0.05))) is None
