"""A sweep's database on file systems that can keep a write-ahead log, and on those that cannot."""

import sqlite3
from contextlib import closing

import pytest

from lrtool.runs.sweep import journal
from lrtool.runs.sweep.store import FILE, StoredTrial, SweepStore, read_trials
from lrtool.status import Status


def trial(number):
    return StoredTrial(number, "a", {}, 0, Status.FINISHED, 1, 0.1, {"train_loss": 1.0})


def mode(folder):
    with closing(sqlite3.connect(folder / FILE)) as database:
        return database.execute("PRAGMA journal_mode").fetchone()[0]


def test_a_disk_has_a_write_ahead_log(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "kind_of", lambda folder: "ext4")
    said = []
    with SweepStore(tmp_path, said.append) as store:
        store.record(trial(0))
        assert (tmp_path / f"{FILE}-wal").exists()
    assert said == [] and mode(tmp_path) == "wal"


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "lustre", "fuse.sshfs"])
def test_a_network_file_system_has_none_and_it_is_said(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(journal, "kind_of", lambda folder: kind)
    said = []
    with SweepStore(tmp_path, said.append) as store:
        store.record(trial(0))
        assert not (tmp_path / f"{FILE}-wal").exists()
        # Readable while the sweep runs, as elsewhere.
        assert [each.number for each in read_trials(tmp_path)] == [0]
    (line,) = said
    assert f"{FILE} lies on a network file system ({kind}): a rollback journal is written instead" in line
    assert mode(tmp_path) == "delete"


def test_a_sweep_that_moves_between_them_keeps_its_trials(tmp_path, monkeypatch):
    kinds = ["ext4", "nfs4", "ext4"]
    for number, kind in enumerate(kinds):
        monkeypatch.setattr(journal, "kind_of", lambda folder, kind=kind: kind)
        with SweepStore(tmp_path, lambda said: None) as store:
            store.record(trial(number))
    assert [each.number for each in read_trials(tmp_path)] == [0, 1, 2] and mode(tmp_path) == "wal"


def test_where_a_write_ahead_log_is_refused_there_is_a_rollback_journal(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "kind_of", lambda folder: "")
    refused = []

    class Refusing(sqlite3.Connection):
        def execute(self, text, *more):
            if text == "PRAGMA journal_mode = WAL":
                refused.append(text)
                raise sqlite3.OperationalError("locking protocol")
            return super().execute(text, *more)

    connect, said = sqlite3.connect, []
    monkeypatch.setattr("lrtool.runs.sweep.store.sqlite3.connect", lambda *a, **b: connect(*a, factory=Refusing, **b))
    with SweepStore(tmp_path, said.append) as store:
        store.record(trial(0))
    monkeypatch.undo()
    assert refused and "where no write-ahead log can be kept" in said[0] and mode(tmp_path) == "delete"


def test_a_disk_that_fails_is_no_file_system_without_a_log(tmp_path):
    class Failing:
        def execute(self, statement):
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
            raise error

    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        journal.choose_journal(Failing(), tmp_path / "sweep.sqlite", lambda _: None)
