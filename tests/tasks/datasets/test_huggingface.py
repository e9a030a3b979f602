"""Data sets of the package `datasets`, saved to disk."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lrtool.errors import LrtoolError, MissingExtraError, TaskError, UsageError
from lrtool.tasks import datasets as kinds
from lrtool.tasks import losses, models
from lrtool.tasks.base import BuildContext, DataShape, Task
from lrtool.tasks.build import build_task
from lrtool.tasks.datasets.huggingface import HuggingFace

N = 40


@pytest.fixture(scope="module")
def hub() -> Any:
    found = pytest.importorskip("datasets", reason="needs the package datasets")
    found.disable_progress_bars()
    return found


def columns() -> dict:
    rng = np.random.default_rng(0)
    sign = rng.integers(0, 2, N)
    return {
        "size": [None if n == 3 else float(n % 7) for n in range(N)],
        "colour": [["red", "blue"][n % 2] for n in range(N)],
        "ids": [[1 + n % 5] * (2 + n % 3) for n in range(N)],
        "mask": [[1] * (2 + n % 3) for n in range(N)],
        "signal": (rng.normal(size=(N, 6)) + sign[:, None]).tolist(),
        "label": sign.tolist(),
        "word": [["no", "yes"][s] for s in sign],
        "price": [3.0 * n for n in range(N)],
        "text": [f"a story about {n} things" for n in range(N)],
        "tags": [[n % 2] * (2 + n % 3) for n in range(N)],
    }


def saved(
    hub: Any, context: BuildContext, *names: str, splits: tuple[str, ...] = (), features: dict | None = None
) -> str:
    rows = hub.Dataset.from_dict({name: columns()[name] for name in names})
    for name, feature in (features or {}).items():
        rows = rows.cast_column(name, feature)
    whole = hub.DatasetDict(dict.fromkeys(splits, rows)) if splits else rows
    whole.save_to_disk(context.folder / "saved")
    return "saved"


class Tagger(nn.Module):
    """Takes tokens and their mask by name, and gives two logits for each token or each text."""

    def __init__(self, tokens: bool = False) -> None:
        super().__init__()
        self.embedding, self.head, self.tokens = nn.Embedding(9, 4), nn.Linear(4, 2), tokens

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.embedding(ids) * mask[..., None]
        return self.head(x) if self.tokens else self.head(x.mean(1))


class Built(models.KINDS["use"]):  # type: ignore[misc]
    def build(self, shape: DataShape, context: BuildContext) -> nn.Module:
        return Tagger(tokens=self.use == "tokens")


def task_of(data: HuggingFace, context: BuildContext, model: Any = None, loss: str | None = None) -> Task:
    spec = losses.KINDS[loss]() if loss else None
    return build_task("t", model or models.KINDS["mlp"](hidden=(8,)), data, spec, None, context)


def test_cells_are_a_table(hub: Any, context: BuildContext, train: Any) -> None:
    path = saved(hub, context, "size", "colour", "price")
    data = HuggingFace(path=path, target="price", batch_size=8).load(context)
    assert data.shape == DataShape((3,), 1, "value") and data.unit is not None and data.unit.name == "price"
    assert (len(data.train), len(data.val)) == (32, 8)
    task = task_of(HuggingFace(path=path, target="price", batch_size=8), context)
    assert task.units == {"val_mae": "price", "val_rmse": "price"}
    assert set(HuggingFace(path=path, target="colour").load(context).train.target.tolist()) == {0, 1}


@pytest.mark.parametrize(
    ("splits", "fields", "sizes"),
    [
        (("train", "test"), {}, (N, N)),
        (("train", "validation", "test"), {}, (N, N)),
        (("train",), {}, (32, 8)),
        (("a", "b"), {"train_split": "a", "val_split": "b"}, (N, N)),
        (("test",), {"train_split": "test", "val_fraction": 0.5}, (20, 20)),
    ],
)
@pytest.mark.parametrize("inputs", [("size", "colour"), ("signal",), ("ids", "mask")])
def test_splits(
    hub: Any, context: BuildContext, splits: tuple, fields: dict, sizes: tuple, inputs: tuple[str, ...]
) -> None:
    path = saved(hub, context, *inputs, "label", splits=splits)
    data = HuggingFace(path=path, **fields).load(context)
    assert (len(data.train), len(data.val)) == sizes and data.shape.outputs == 2


def test_a_column_of_arrays_is_a_tensor_in_memory(hub: Any, context: BuildContext, train: Any) -> None:
    path = saved(hub, context, "signal", "word", "label")
    for target in ("label", "word"):
        task = task_of(HuggingFace(path=path, target=target, columns=("signal",), batch_size=8), context)
        assert type(task.train).__name__ == "TensorSource" and "accuracy" in task.metrics
        first, last = train(task, 80, 0.05)
        assert last < first


def test_sequences_are_filled_up_and_go_in_by_name(hub: Any, context: BuildContext, train: Any) -> None:
    features = {"label": hub.ClassLabel(names=["no", "yes"])}
    path = saved(hub, context, "ids", "mask", "label", "text", features=features)
    task = task_of(HuggingFace(path=path, batch_size=8), context, Built(use="texts"))
    batch = task.train.take(torch.arange(8))
    assert batch.inputs["ids"].shape == batch.inputs["mask"].shape and batch.target.shape == (8,)
    assert (batch.inputs["ids"] == 0).any() and "accuracy" in task.metrics
    assert all(np.isfinite(train(task, 5, 0.01)))


def test_targets_that_are_sequences_are_filled_up_with_what_does_not_count(hub: Any, context: BuildContext) -> None:
    path = saved(hub, context, "ids", "mask", "tags")
    data = HuggingFace(path=path, target="tags", batch_size=8)
    task = task_of(data, context, Built(use="tokens"), "cross_entropy")
    batch = task.train.take(torch.arange(8))
    assert batch.target.shape == batch.inputs["ids"].shape and (batch.target == -100).any()
    assert torch.isfinite(task.loss_of(batch.forward(task.new_model()), batch.target))


def test_images_are_channels_first(hub: Any, context: BuildContext) -> None:
    pytest.importorskip("PIL", reason="needs pillow")
    pictures = [np.full((4, 6, 3), n, dtype=np.uint8) for n in range(N)]
    rows = hub.Dataset.from_dict({"image": pictures, "label": [n % 3 for n in range(N)]})
    rows.cast_column("image", hub.Image()).save_to_disk(context.folder / "saved")
    data = HuggingFace(path="saved").load(context)
    assert data.shape == DataShape((3, 4, 6), 3, "class")
    assert float(data.train.inputs[0].min()) >= -1 and data.train.inputs[0].dtype == torch.float32


@pytest.mark.parametrize(
    ("names", "fields", "kind", "message"),
    [
        (("size", "price"), {"target": "prise"}, UsageError, r"no column 'prise'; did you mean 'price'\?"),
        (("size", "price"), {}, UsageError, r"data\.target: .*not said; choose one of: size, price"),
        (("size", "label"), {"columns": ("siz",)}, UsageError, r"data\.columns: .*did you mean 'size'\?"),
        (("size", "label"), {"columns": ("label",)}, UsageError, "'label' is the target"),
        (("text", "label"), {}, UsageError, r"'text' is text, .*dataset\.map"),
        (("size", "label"), {"val_split": "dev"}, UsageError, r"data\.val_split: .*without splits"),
    ],
)
def test_problems_are_named(
    hub: Any, context: BuildContext, names: tuple, fields: dict, kind: type[LrtoolError], message: str
) -> None:
    path = saved(hub, context, *names)
    with pytest.raises(kind, match=message):
        HuggingFace(path=path, **fields).load(context)


def test_a_split_that_is_not_there_and_a_folder_of_something_else(hub: Any, context: BuildContext) -> None:
    path = saved(hub, context, "size", "label", splits=("training", "test"))
    with pytest.raises(UsageError, match=r"data\.train_split: .*no split 'train'; did you mean 'training'\?"):
        HuggingFace(path=path).load(context)
    (context.folder / "other").mkdir()
    with pytest.raises(TaskError, match="no data set that `save_to_disk` wrote"):
        HuggingFace(path="other").load(context)


def test_without_the_package_it_says_what_to_install(context: BuildContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    (context.folder / "saved").mkdir()
    with pytest.raises(MissingExtraError, match=r"pip install 'lrtool\[datasets\]'"):
        HuggingFace(path="saved").load(context)


def test_it_is_a_kind_of_the_config() -> None:
    assert kinds.KINDS["huggingface"] is HuggingFace and Path(kinds.__file__).parent.name == "datasets"
