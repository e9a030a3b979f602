"""Journals: records come back as they were, and whatever else is there is noticed or left out."""

import pytest

from lrtool.errors import OutputError
from lrtool.runs.journal import START, Journal, read_journal

RECORDS = [b"", b"first", bytes(range(256)) * 20, b"last"]


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "j") as made:
        marks = [made.append(each) for each in RECORDS]
    return tmp_path / "j", marks


def test_records_come_back_in_order(journal):
    path, marks = journal
    assert read_journal(path) == (RECORDS, marks[-1])
    for number, mark in enumerate(marks):
        assert read_journal(path, mark) == (RECORDS[: number + 1], mark)


def test_a_torn_end_is_left_out_and_cut_off(journal):
    path, marks = journal
    whole = path.read_bytes()
    for size in range(marks[0].bytes, len(whole), 7):
        path.write_bytes(whole[:size])
        records, mark = read_journal(path)
        assert records == RECORDS[: len(records)] and mark.bytes <= size
        with Journal(path, mark) as again:
            for each in RECORDS[len(records) :]:
                again.append(each)
        assert path.read_bytes() == whole


def test_a_changed_byte_anywhere_is_noticed(journal):
    path, marks = journal
    whole = path.read_bytes()
    for position in range(0, len(whole), 3):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        with pytest.raises(ValueError, match="not those that were written"):
            read_journal(path, marks[-1])


def test_what_was_removed_is_an_error(journal):
    path, marks = journal
    path.unlink()
    with pytest.raises(OutputError, match="cut short or removed"):
        Journal(path, marks[1])
    with Journal(path, START) as made:
        made.append(b"a")
        path.unlink()
        with pytest.raises(OutputError, match="cannot write here"):
            made.append(b"b")
