"""Arrays and tables in files of other formats."""

from pathlib import Path

import numpy as np
import pytest

from lrtool.errors import LrtoolError, TaskError, UsageError
from lrtool.tasks.base import BuildContext, DataShape
from lrtool.tasks.datasets.numpy_file import NumpyFile
from lrtool.tasks.datasets.parquet import Parquet

RNG = np.random.default_rng(0)
X, LABELS, PRICES = RNG.normal(3, 2, (40, 5)), RNG.integers(0, 3, 40), RNG.normal(9, 4, 40)


@pytest.fixture
def folder(context: BuildContext) -> Path:
    np.savez(context.folder / "d.npz", x=X, more=X[:, :2], y=LABELS, price=PRICES, words=np.array(["a", "b"] * 20))
    np.savez(context.folder / "images.npz", x=RNG.integers(0, 255, (40, 1, 4, 4), dtype=np.uint8), y=LABELS)
    np.save(context.folder / "x.npy", X)
    np.save(context.folder / "y.npy", LABELS + 1)
    np.save(context.folder / "short.npy", LABELS[:7])
    np.savez(context.folder / "objects.npz", x=np.array([{}, None], dtype=object), y=LABELS)
    (context.folder / "text.npz").write_text("not an archive")
    return context.folder


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        ({"path": "d.npz", "inputs": ("x",)}, DataShape((5,), 3, "class")),
        ({"path": "d.npz", "inputs": ("x",), "target": "price"}, DataShape((5,), 1, "value")),
        ({"path": "d.npz", "inputs": ("x", "more")}, DataShape((), 3, "class")),
        ({"path": "d.npz", "inputs": ("x",), "target": "words"}, DataShape((5,), 2, "class")),
        ({"path": "d.npz", "inputs": ("x",), "task": "regression"}, DataShape((5,), 1, "value")),
        ({"path": "images.npz"}, DataShape((1, 4, 4), 3, "class")),
        ({"path": "x.npy", "target": "y.npy"}, DataShape((5,), 3, "class")),
    ],
)
def test_arrays_are_data(folder: Path, context: BuildContext, fields: dict, shape: DataShape) -> None:
    data = NumpyFile(**fields).load(context)
    assert data.shape == shape and len(data.train) == 32 and len(data.val) == 8
    for part in data.train.inputs:
        assert abs(float(part.mean())) < 1e-5 and abs(float(part.std()) - 1) < 0.05
    if shape.target == "class":
        assert set(data.train.target.tolist()) == set(range(shape.outputs))


@pytest.mark.parametrize(
    ("fields", "kind", "message"),
    [
        ({"path": "d.npz", "target": "prise"}, UsageError, r"no array 'prise'; did you mean 'price'\?"),
        ({"path": "d.npz", "inputs": ("z",)}, UsageError, r"data\.inputs: .*choose one of: x, more, y, price, words"),
        ({"path": "x.npy"}, UsageError, "the target must be a file of its own"),
        ({"path": "x.npy", "target": "short.npy"}, TaskError, "different numbers of samples"),
        ({"path": "objects.npz"}, TaskError, "pickled objects are not read"),
        ({"path": "text.npz"}, TaskError, "no file of NumPy arrays"),
    ],
)
def test_problems_are_named(
    folder: Path, context: BuildContext, fields: dict, kind: type[LrtoolError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        NumpyFile(**fields).load(context)


def test_a_parquet_file_is_a_table(context: BuildContext) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="needs the package pyarrow")
    from pyarrow import parquet

    columns = {
        "size": [1.5, None, 3.5, 4.5] * 10,
        "colour": ["red", "blue", None, "red"] * 10,
        "sold": [True, False] * 20,
        "day": pyarrow.array([n * 40 for n in range(40)], pyarrow.date32()),
        "price": [0.25 * n for n in range(40)],
    }
    parquet.write_table(pyarrow.table(columns), context.folder / "t.parquet")
    data = Parquet(path="t.parquet", target="price").load(context)
    # size; blue, red and missing; False and True; days, and time of year and week.
    assert data.shape == DataShape((11,), 1, "value")
    (context.folder / "t.parquet").write_text("no")
    with pytest.raises(TaskError, match="this is no Parquet file"):
        Parquet(path="t.parquet", target="price").load(context)
