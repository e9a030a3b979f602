"""Tables: what is read, and every problem with its place."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lrtool.errors import LrtoolError, TaskError, UsageError
from lrtool.tasks import losses, models
from lrtool.tasks.base import BuildContext, DataShape
from lrtool.tasks.build import build_task
from lrtool.tasks.datasets.csv import Csv

Write = Callable[[str, str], Path]

ROWS = [(n / 7, "red" if n % 3 else "blue", 2 * n / 7 + 1.03, n % 2) for n in range(40)]
TABLE = "size,colour,price,sold\n" + "\n".join(",".join(map(str, row)) for row in ROWS) + "\n"


@pytest.fixture
def table(write: Write) -> Path:
    return write("goods.csv", TABLE)


def test_values_are_standardised_with_the_training_split(table: Path, context: BuildContext) -> None:
    data = Csv(path="goods.csv", target="price").load(context)
    assert data.shape == DataShape((4,), 1, "value")  # size, two colours, sold
    assert data.train.target.shape == (32, 1)
    for part in (*data.train.inputs, data.train.target):
        np.testing.assert_allclose(part.mean(0), 0, atol=1e-6)
        np.testing.assert_allclose(part.std(0, correction=0), 1, rtol=1e-5)
    both = np.concatenate([data.train.target, data.val.target])[:, 0]
    prices = np.array([row[2] for row in ROWS])
    assert np.corrcoef(np.sort(both), np.sort(prices))[0, 1] > 1 - 1e-6
    assert abs(data.val.target.mean()) > 1e-3  # on the training split's scale, not on its own


def test_classes_are_numbered_in_order(table: Path, context: BuildContext) -> None:
    data = Csv(path="goods.csv", target="colour", features=("size", "price"), val_fraction=0).load(context)
    assert data.shape == DataShape((2,), 2, "class")
    assert data.val is None
    assert data.train.target.tolist() == [int(row[1] == "red") for row in ROWS]


def test_few_whole_numbers_are_classes_unless_told_otherwise(table: Path, context: BuildContext) -> None:
    assert Csv(path="goods.csv", target="sold").load(context).shape.target == "class"
    assert Csv(path="goods.csv", target="sold", task="regression").load(context).shape.target == "value"
    assert Csv(path="goods.csv", target="price").load(context).shape.target == "value"
    assert Csv(path="goods.csv", target="price", task="classification").load(context).shape.outputs == 40


def test_numbers_that_are_written_differently_are_one_class(write: Write, context: BuildContext) -> None:
    write("t.csv", "x;y\n1;3\n2;3.0\n3;10\n4; 10\n")
    data = Csv(path="t.csv", target="y", delimiter=";", val_fraction=0).load(context)
    assert data.train.target.tolist() == [0, 0, 1, 1]


def test_a_model_learns_a_table(table: Path, context: BuildContext, train) -> None:
    data = Csv(path="goods.csv", target="price", batch_size=16)
    task = build_task("t", models.KINDS["linear"](), data, losses.KINDS["huber"](), None, context)
    first, last = train(task, 150, 0.05)
    assert last < 0.02 * first


@pytest.mark.parametrize(
    ("text", "fields", "kind", "message"),
    [
        (TABLE, {"target": "prise"}, UsageError, r"data\.target: t\.csv has no column 'prise'; did you mean 'price'\?"),
        (TABLE, {"features": ("siz",)}, UsageError, "no column 'siz'; did you mean 'size'"),
        (TABLE, {"target": "zzz"}, UsageError, "choose one of: size, colour, price, sold"),
        (TABLE, {"features": ("price",)}, UsageError, "'price' is also a feature"),
        ("1,2\n3,4\n5,6\n", {}, UsageError, "the first line holds only numbers"),
        ("size,price\n1,2\n,3\n", {}, TaskError, r"t\.csv:3: column 'size': the value is missing \(''\)"),
        ("size,price\n1,2\n2,nan\n", {}, TaskError, r"t\.csv:3: column 'price': the value is missing \('nan'\)"),
        ("size,price\n1,2\n2,inf\n", {}, TaskError, r"t\.csv:3: column 'price': 'inf' is not a finite number"),
        ("size,price\n1,2\n2,3\noops,4\n", {}, TaskError, r"t\.csv:4: column 'size': 'oops' is not a number"),
        ("size,price\n1,2\n1,2,3\n", {}, TaskError, r"t\.csv:3: the header names 2 columns, but this line has 3"),
        ("size,size\n1,2\n", {}, TaskError, r"t\.csv:1: two columns are named 'size'"),
        ("size,price\n", {}, TaskError, "only a header"),
        ("", {}, TaskError, "holds nothing"),
        ("price\n1\n2\n", {}, TaskError, "no column besides the target"),
        ("size,price\na,1.5\nb,2.5\nc,3.5\n", {"max_categories": 2}, UsageError, "3 different values, more than 2"),
        ("size,price\na,b\nc,d\n", {"task": "regression"}, TaskError, r"t\.csv:2: .*'b' is not a number"),
        ("size,price\n1,2\n2,3\n", {"val_fraction": 0.1}, UsageError, "leaves none for validation"),
    ],
)
def test_problems_are_named_with_their_place(
    write: Write, context: BuildContext, text: str, fields: dict, kind: type[LrtoolError], message: str
) -> None:
    write("t.csv", text)
    with pytest.raises(kind, match=message):
        Csv(**{"path": "t.csv", "target": "price", **fields}).load(context)


def test_a_gap_in_a_column_that_is_not_used_is_no_problem(write: Write, context: BuildContext) -> None:
    write("t.csv", "size,note,price\n1,,2.5\n2,x,3.5\n3,,4.5\n")
    assert Csv(path="t.csv", target="price", features=("size",), val_fraction=0).load(context).shape.inputs == (1,)


def test_a_missing_file_is_named(table: Path, context: BuildContext) -> None:
    with pytest.raises(UsageError, match=r"no file .*good\.csv; did you mean 'goods\.csv'\?"):
        Csv(path="good.csv", target="price").load(context)


def test_a_file_that_is_no_text_is_explained(context: BuildContext) -> None:
    (context.folder / "t.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    with pytest.raises(TaskError, match="not a UTF-8 table"):
        Csv(path="t.csv", target="b").load(context)
