"""Tables: what is read, and every problem with its place."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lrtool.errors import LrtoolError, TaskError, UsageError
from lrtool.tasks import losses, metrics, models
from lrtool.tasks.base import BuildContext, DataShape
from lrtool.tasks.build import build_task
from lrtool.tasks.datasets.csv import Csv
from lrtool.tasks.memory import split

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
        ("1,2\n3,4\n5,6\n", {}, UsageError, "first line holds values, not names, so columns are column_1 … column_2"),
        ("1,2\n3,4\n5,6\n", {"target": 7}, UsageError, r"data\.target: t\.csv has 2 columns, none at place 7"),
        ("size,price\n1,\n,nan\n", {}, TaskError, "no row is left"),
        ("size,price\n1,2\n2,inf\n", {}, TaskError, r"t\.csv:3: column 'price': 'inf' is not a finite number"),
        ("size,price\n1,2\n2,3\noops,4\n", {}, TaskError, r"t\.csv:4: column 'size': 'oops' is not a number"),
        ("size,price\n1,2\n1,2,3\n", {}, TaskError, r"t\.csv:3: the header names 2 columns, but this line has 3"),
        ("size,price\n1,2\n2,2\n", {}, TaskError, r"the target 'price' is always '2', so there is nothing to learn"),
        (TABLE, {"target": "PRICE"}, UsageError, "did you mean 'price'"),
        ("a,price\n1,2\nx,3\n4,5\n", {}, TaskError, r"'x' is not a number; .*data\.missing_words"),
        ("size,price\n", {}, TaskError, "only a header"),
        ("", {}, TaskError, "holds nothing"),
        ("price\n1\n2\n", {}, TaskError, "no column besides the target"),
        ("size,price\n1,2\n1,3\n", {}, TaskError, "no column besides the target tells anything"),
        (TABLE, {"split": "group"}, UsageError, "which column names the groups is not said"),
        (TABLE, {"split_by": "sold"}, UsageError, "a random split goes by no column"),
        (TABLE, {"split": "time", "split_by": "colour"}, UsageError, "cannot be put in order by 'colour'"),
        (TABLE, {"delimiter": ";;"}, UsageError, "a delimiter is one sign"),
        (TABLE, {"encoding": "utf-9"}, UsageError, "there is no encoding 'utf-9'"),
        ("size,price\na,b\nc,d\n", {"task": "regression"}, TaskError, r"t\.csv:2: .*'b' is not a number"),
        ("size,price\n1,2\n2,3\n", {"val_fraction": 0.1}, UsageError, "leaves none for validation"),
        ("size,price\n1,2\n2,3\n", {"val_fraction": 0.1, "split": "time"}, UsageError, "leaves none for validation"),
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
    with pytest.raises(TaskError, match="not a table in utf-8"):
        Csv(path="t.csv", target="b", encoding="utf-8").load(context)
    (context.folder / "t.csv").write_bytes(b"PK\x03\x04\x00\x00\xff\xfe")
    with pytest.raises(TaskError, match="not a table in utf-8"):
        Csv(path="t.csv", target="b").load(context)


#: Tables as they are found, each with the fields that one command gives, and what comes of it: features, classes.
FOUND = {
    "semicolons and decimal commas": ("a;b;y\n" + "0,5;1.000,25;x\n1,5;2.000,5;z\n2,5;10,0;x\n" * 4, {}, 2, 2),
    "tabs": ("a\tb\ty\n1\tu v\tx\n2\tw\tz\n3\tw\tz\n" + "4\tw\tx\n" * 8, {}, 3, 2),
    "pipes, spaces around": ("a | b | y\n 1 | 2 | x \n 3 | 5 | z \n" + "4|9|x\n" * 8, {}, 2, 2),
    "a byte order mark, carriage returns": ("﻿a,y\r\n1,x\r\n2,z\r\n3,x\r\n4,z\r\n", {}, 1, 2),
    "no header": ("F,0.1,0.2,9\nM,0.3,0.4,7\nI,0.5,0.1,9\nF,0.2,0.9,7\n", {"target": -1}, 5, 2),
    "no header, by place": ("1.5,x,2\n2.5,y,3\n3.5,x,5\n4.5,y,8\n", {"target": 1, "features": (0, "column_3")}, 2, 2),
    "no header, all words": ("red,big,yes\nred,small,no\nblue,big,yes\nblue,small,no\n", {"target": "column_3"}, 4, 2),
    "years as names": ("country,2019,2020,y\nA,1,2,x\nB,3,5,z\nA,5,6,x\nB,7,9,z\n", {"target": "y"}, 4, 2),
    "names that are numbers, asked for": (
        "1,2,y\n5,6,x\n7,8,z\n9,4,x\n1,2,z\n", {"target": "y", "features": ("1",)}, 1, 2,
    ),
    "missing numbers and words": ("a,b,y\n1,,x\n,u,z\nNA,u,x\n4,v,z\n", {}, 4, 2),
    "words for missing that are words": ("a,b,y\n1,none,x\n2,none,z\n3,some,x\n4,many,z\n", {}, 4, 2),
    "none among numbers": ("a,y\n1,x\nnone,z\n3,x\n4,z\n", {}, 1, 2),
    "rows without a target": ("a,y\n1,x\n2,\n3,z\n4,x\n5,z\n", {}, 1, 2),
    "an index without a name": (",a,y\n0,5,x\n1,3,z\n2,9,x\n3,1,z\n", {}, 1, 2),
    "an id that counts": ("order_id,a,y\n1000,5,x\n1001,3,z\n1002,9,x\n1003,1,z\n", {}, 1, 2),
    "a constant column": ("a,c,y\n5,7,x\n3,7,z\n9,7,x\n1,7,z\n", {}, 1, 2),
    "an empty column": ("a,c,y\n5,,x\n3,,z\n9,,x\n1,,z\n", {}, 1, 2),
    "columns without a name at the end": ("a;y;;\n5;x;;\n3;z;;\n9;x;;\n1;z;;\n", {}, 1, 2),
    "empty lines": ("a,y\n\n5,x\n,\n3,z\n\n9,x\n1,z\n\n", {}, 1, 2),
    "money, thousands, per cent": (
        'a,b,y\n"$1,483.00",12%,x\n"$758.00",7%,z\n"$2,943.50",3%,x\n"$1.00",4%,z\n', {}, 2, 2,
    ),
    "booleans": ("a,m,y\n1,True,yes\n2,False,no\n3,True,no\n4,False,yes\n", {}, 3, 2),
    "dates": ("d,y\n2024-01-01,x\n2024-02-09,z\n2024-06-03,x\n2024-12-24,z\n", {}, 5, 2),
    "dates with times": (
        "d,y\n2024-01-01 10:00,x\n2024-02-09 23:00,z\n2024-06-03 04:00,x\n2024-12-24 12:00,z\n", {}, 7, 2,
    ),
    "German dates": ("d,y\n01.02.2024,x\n09.12.2024,z\n31.01.2024,x\n24.06.2024,z\n", {}, 5, 2),
    "text of many words": ("a,name,y\n" + "".join(f"{n},person {n},{'xz'[n % 2]}\n" for n in range(50)), {}, 1, 2),
    "many words": (
        "w,y\n" + "".join(f"word {n % 20},{'xz'[n % 2]}\n" for n in range(100)), {"max_categories": 8}, 8, 2,
    ),
    "two whole numbers": ("a,y\n5,1\n3,2\n9,1\n1,2\n", {}, 1, 2),
    "classes that are numbers with a point": ("a,y\n5,1.0\n3,0.0\n9,1.0\n1,0\n", {}, 1, 2),
    "two columns of one name": ("a,a,y\n5,1,x\n3,9,z\n9,4,x\n1,3,z\n", {}, 2, 2),
    "a title before the table": ("Report\n\nof 2024\na,b,y\n5,1,x\n3,9,z\n9,4,x\n1,3,z\n", {}, 2, 2),
    "comments before the table": ("# by me, and her\n# 2024\na,b,y\n5,1,x\n3,9,z\n9,4,x\n1,3,z\n", {}, 2, 2),
    "a word to Excel": ("sep=;\na;b;y\n5;1;x\n3;9;z\n9;4;x\n1;3;z\n", {}, 2, 2),
    "short lines": ("a,b,y\n5,1,x\n3,9,z\n9,4,x\n1,3,z\nTotal: 4\n", {}, 2, 2),
    "columns in line": ("a    b  y\n 5    1  x\n13   29  z\n 9    4  x\n 1    3  z\n", {}, 2, 2),
    "strokes in thousands": ("a,y\n1'234.5,x\n2'000,z\n12.5,x\n3'456'789,z\n", {}, 1, 2),
    "hard spaces in thousands": ("a;y\n1\u00a0234,5;x\n2\u202f000,5;z\n12,5;x\n", {}, 1, 2),
    "what accountants write": ('a,y\n"(1,234)",x\n"2,000",z\n(5),x\nUSD 7,z\n', {}, 1, 2),
    "numbers with a unit": ("a,y\n5 kg,x\n12.5 kg,z\n,x\n1 kg,z\n", {}, 1, 2),
    "cells between strokes": ("a,y\n'5',x\n'3',z\n'9',x\n'1',z\n", {}, 1, 2),
    "dates with names of months": ('d,y\n"Jan 5, 2024",x\n"Mar 9, 2024",z\n"Jul 1, 2024",x\n', {}, 5, 2),
    "dates with short years": ("d,y\n05-Jan-24,x\n09-Mar-24,z\n01-Jul-24,x\n02-Dec-23,z\n", {}, 5, 2),
    "American times": ("d,y\n1/5/2024 3:45 PM,x\n3/9/2024 3:45 AM,z\n7/1/2024 1:00 PM,x\n", {}, 7, 2),
    "months": ("d,y\n2024-01,x\n2024-03,z\n2024-07,x\n2023-12,z\n", {}, 5, 2),
    "times of day": ("d,y\n01:30,x\n09:30,z\n13:10,x\n22:00,z\n", {}, 3, 2),
    "words for missing of one's own": ("a,y\n1,x\ntbd,z\n3,x\n4,z\n", {"missing_words": ("tbd",)}, 1, 2),
    "three decimals after a comma": ("a;b;y\n1,234;5,678;x\n2,345;6,789;z\n3,456;7,891;x\n4,567;8,912;z\n", {}, 2, 2),
    "prices with a decimal comma": ("a;y\n3,50 €;x\n12,00 €;z\n7,25 €;x\n1,00 €;z\n", {}, 1, 2),
    "per cent with a decimal comma": ("a;y\n3,5 %;x\n12,1 %;z\n7,25 %;x\n1,0 %;z\n", {}, 1, 2),
    "weights with a decimal comma": ("a;y\n3,5 kg;x\n12,1 kg;z\n7,25 kg;x\n1,0 kg;z\n", {}, 1, 2),
    "other currencies": ("a,b,c,d,y\n₹5,R$ 5,kr 5,5 zł,x\n₹3,R$ 3,kr 3,3 zł,z\n₹9,R$ 9,kr 9,9 zł,x\n", {}, 4, 2),
    "debts": ("a,b,y\n-$5.50,− 3,x\n$3.00,4,z\n-$9.25,−1.5,x\n$1.00,2,z\n", {}, 2, 2),
    "further signs of what is missing": ("a,y\n5,x\n--,z\n#DIV/0!,x\n—,z\n<NA>,x\n7,z\n", {}, 1, 2),
    "a line of units": ("t,w,y\n°C,m/s,\n5,1,x\n3,9,z\n9,4,x\n1,3,z\n", {}, 2, 2),
    "months of years": ("d,y\nJan 2024,x\nMar 2024,z\nJul 2024,x\nDec 2023,z\n", {}, 5, 2),
    "days of the week": ('d,y\n"Mon, 01 Jan 2024",x\n"Tue, 06 Feb 2024",z\n"Sat, 01 Jun 2024",x\n', {}, 5, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_tables_are_read_as_the_world_writes_them(write: Write, context: BuildContext, name: str) -> None:
    text, fields, features, classes = FOUND[name]
    write("t.csv", text)
    data = Csv(**{"path": "t.csv", "target": "y", "val_fraction": 0.25, **fields}).load(context)
    assert (data.shape.inputs, data.shape.outputs, data.shape.target) == ((features,), classes, "class")
    for part in (data.train, data.val):
        assert np.isfinite(np.asarray(part.inputs[0])).all()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_letters_are_read_in_any_encoding(context: BuildContext, encoding: str) -> None:
    text = "stadt,preis\nMünchen,13.5\nKöln,8.5\nMünchen,72.5\nAachen,5.5\n"
    (context.folder / "t.csv").write_bytes(text.encode(encoding))
    data = Csv(path="t.csv", target="stadt", val_fraction=0).load(context)
    assert data.shape.outputs == 3 and data.train.target.tolist() == [2, 1, 2, 0]


def test_missing_numbers_stand_at_the_training_mean(write: Write, context: BuildContext) -> None:
    write("t.csv", "a,y\n" + "".join(f"{'' if n % 4 == 0 else n},{n / 3}\n" for n in range(40)))
    given = {missing: Csv(path="t.csv", target="y", missing=missing).load(context) for missing in ("mean", "category")}
    inputs = np.asarray(given["mean"].train.inputs[0])[:, 0]
    assert 4 <= (inputs == 0).sum() <= 10 and abs(inputs.mean()) < 1e-6
    both = np.asarray(given["category"].train.inputs[0])
    np.testing.assert_array_equal(both[:, 0] == 0, both[:, 1] > 0)  # the second column says where
    left = Csv(path="t.csv", target="y", missing="drop").load(context)
    assert len(left.train) + len(left.val) == 30


def test_what_was_found_out_is_said_once(write: Write, context: BuildContext, caplog: pytest.LogCaptureFixture) -> None:
    write("said.csv", "orderId;a;b;y\n1;1,5;;x\n2;2,5;u;z\n3;9,5;u;x\n4;;u;z\n5;4,5;u;\n")
    for _ in range(2):
        Csv(path="said.csv", target="y").load(context)
    (said,) = [record.getMessage() for record in caplog.records]
    for part in (
        "separated by ';'",
        "decimal comma",
        "'orderId' is left out",
        "'y' is a class: 'x' is 0, 'z' is 1",
        "1 rows without 'y'",
        "'a': 1 missing value",
    ):
        assert part in said


def test_the_latest_rows_are_held_out(write: Write, context: BuildContext) -> None:
    days = np.random.default_rng(0).permutation(40)
    write(
        "t.csv", "day,a,y\n" + "".join(f"2024-01-{1 + d % 28:02d} {d // 28:02d}:00,{d},{d / 2 + 0.25}\n" for d in days)
    )
    data = Csv(path="t.csv", target="y", split="time", split_by="day", features=("a",)).load(context)
    assert len(data.val) == 8
    ordered = Csv(path="t.csv", target="y", split="time", features=("a",)).load(context)  # as the rows stand
    last = np.asarray(ordered.val.inputs[0])[:, 0]
    assert np.argsort(last).tolist() == np.argsort(days[-8:]).tolist()


def test_no_group_is_torn(write: Write, context: BuildContext) -> None:
    write("t.csv", "who,a,y\n" + "".join(f"p{n % 9},{n % 9}.5,{n / 2 + 0.25}\n" for n in range(90)))
    data = Csv(path="t.csv", target="y", split="group", split_by="who").load(context)
    train, val = ({round(float(v), 4) for v in part.inputs[0][:, 0]} for part in (data.train, data.val))
    assert not train & val and len(train | val) == 9 and 10 <= len(data.val) <= 20
    assert data.shape.inputs == (1,)  # the group itself is no feature


def test_errors_are_also_given_in_the_targets_own_unit(table: Path, context: BuildContext) -> None:
    data = Csv(path="goods.csv", target="price", batch_size=16)
    task = build_task("t", models.KINDS["linear"](), data, losses.KINDS["mse"](), None, context)
    assert task.units == {"val_mae": "price", "val_rmse": "price"}
    output, target = torch.zeros(8, 1), task.val.target
    prices = np.array([row[2] for row in ROWS])
    held_out = split(40, 0.2, 0)[1]
    expected = prices[held_out] - np.delete(prices, held_out).mean()
    means = [
        task.loss_of(output, target).item(),
        *(m.per_sample(output, target).mean().item() for m in task.metrics.values()),
    ]
    found = task.evaluation(means)
    assert found["val_mae"] == pytest.approx(np.abs(expected).mean(), rel=1e-4)
    assert found["val_rmse"] == pytest.approx(np.sqrt((expected**2).mean()), rel=1e-4)
    assert found["val_rmse"] == pytest.approx(np.sqrt(found["val_loss"]) * task.unit.scale[0], rel=1e-4)
    asked = build_task("t", models.KINDS["linear"](), data, None, [metrics.KINDS["mse"]()], context)
    assert asked.units == {"val_mse": "(price)²"}
    plain = build_task(
        "t", models.KINDS["linear"](), Csv(path="goods.csv", target="colour", batch_size=8), None, None, context
    )
    assert plain.unit is None and plain.units == {}


def test_decimal_commas_are_values_not_thousands(write: Write, context: BuildContext) -> None:
    write("t.csv", "a;y\n" + "".join(f"{n},{n}{n}{n};{2 * n},500\n" for n in range(1, 9)))
    data = Csv(path="t.csv", target="y", val_fraction=0).load(context)
    assert data.unit is not None and data.unit.scale[0] == pytest.approx(2 * np.arange(1, 9).std())


def test_thousands_in_a_table_of_commas_stay_thousands(write: Write, context: BuildContext) -> None:
    write("t.csv", "a,y\n" + "".join(f'{n},"{2 * n},500"\n' for n in range(1, 9)))
    data = Csv(path="t.csv", target="y", val_fraction=0, task="regression").load(context)
    assert data.unit is not None and data.unit.scale[0] == pytest.approx(2000 * np.arange(1, 9).std())


def test_a_first_row_that_lacks_numbers_is_no_line_of_units(write: Write, context: BuildContext) -> None:
    write("t.csv", "a,b,y\nNA,nan,x\n" + "5,1,x\n3,9,z\n" * 3)
    assert len(Csv(path="t.csv", target="y", val_fraction=0).load(context).train) == 7


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04\x14\x00\xff\xfe", "but a ZIP archive, as the files of Excel are; save the sheet as CSV"),
        (gzip.compress(b"a,y\n1,2\n", mtime=0), "but packed with gzip; unpack it: gunzip -k t.csv"),
        (b"PAR1\x15\x04\xff\xff", "but a Parquet file; write kind: parquet"),
    ],
    ids=["zip", "gzip", "parquet"],
)
def test_a_file_of_another_sort_is_called_what_it_is(context: BuildContext, data: bytes, words: str) -> None:
    (context.folder / "t.csv").write_bytes(data)
    with pytest.raises(TaskError) as caught:
        Csv(path="t.csv", target="y").load(context)
    assert words in str(caught.value)
