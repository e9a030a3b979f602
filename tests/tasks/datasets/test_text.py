"""Texts, character by character."""

import pytest
import torch

from lrtool.errors import TaskError, UsageError
from lrtool.tasks.base import BuildContext
from lrtool.tasks.datasets.text import Text


def test_the_embedded_play(context: BuildContext) -> None:
    data = Text(context=50).load(context)
    assert data.shape.vocabulary == data.shape.outputs == 65
    assert data.shape.inputs == (50,)
    assert 2500 < len(data.train) < 3000
    assert data.val is not None
    assert data.train.target.max() < 65


def test_the_target_is_the_next_character_and_the_end_is_held_out(context: BuildContext) -> None:
    (context.folder / "a.txt").write_text("abcdefghijklmnopqrst")
    data = Text(path="a.txt", context=3, stride=2, val_fraction=0.3).load(context)
    assert data.train.inputs[0].tolist() == [[n, n + 1, n + 2] for n in range(0, 11, 2)]
    assert torch.equal(data.train.target, data.train.inputs[0] + 1)
    assert data.val is not None
    assert data.val.inputs[0].tolist() == [[14, 15, 16]]


def test_any_character_counts(context: BuildContext) -> None:
    (context.folder / "a.txt").write_text("€\x00𝄞é" * 5, encoding="utf-8")
    data = Text(path="a.txt", context=3, val_fraction=0).load(context)
    assert data.shape.vocabulary == 4
    assert data.train.inputs[0][0].tolist() == [2, 0, 3]


def test_halves_of_characters_count_as_one(context: BuildContext) -> None:
    (context.folder / "a.txt").write_bytes(b"+2AA-abc" * 5)
    data = Text(path="a.txt", encoding="utf-7", context=3, val_fraction=0).load(context)
    assert data.shape.vocabulary == 4


@pytest.mark.parametrize(
    ("content", "fields", "kind", "message"),
    [
        (b"", {}, TaskError, "is empty"),
        (b"abc\xff", {}, TaskError, "byte 3 cannot be read; write the file's encoding"),
        (b"abc" * 5, {"encoding": "utf-9"}, UsageError, "no encoding 'utf-9'"),
        (
            b"abc" * 5,
            {},
            UsageError,
            r"data\.context: the training part of the text has 12 characters, too few",
        ),
        (b"abc" * 5, {"context": 5}, UsageError, "the validation part of the text has 3 characters"),
    ],
)
def test_problems_are_named(context: BuildContext, content: bytes, fields: dict, kind: type, message: str) -> None:
    (context.folder / "a.txt").write_bytes(content)
    with pytest.raises(kind, match=message):
        Text(path="a.txt", **fields).load(context)


def test_a_missing_file_is_named(context: BuildContext) -> None:
    with pytest.raises(UsageError, match=r"no file .*a\.txt; relative paths start from the config's folder"):
        Text(path="a.txt").load(context)
