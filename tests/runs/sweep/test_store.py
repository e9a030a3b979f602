import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lrtool.errors import OutputError, UsageError
from lrtool.runs.sweep.store import DAMAGED, FILE, SCHEMA, StoredTrial, SweepStore, read_trials
from lrtool.status import Status

CURVE = {"step": [1.0, 2.0], "lr": [0.1, 1 / 3], "train_loss": [2.0, 1e-300], "val_loss": [float("nan"), 0.5]}


def trial(number, **changes):
    made = StoredTrial(
        number, "cosine", {"optimizer.lr": 0.1, "schedule": {"kind": "cosine"}}, 3, Status.FINISHED, 2, 0.5,
        {"train_loss": 0.25, "val_loss": 0.5}, CURVE,
    )  # fmt: skip
    return replace(made, **changes)


def same(one, other):
    np.testing.assert_equal(vars(one), vars(other))


def recorded(folder, count, points=200):
    """A closed store of so many trials, each of more than one page of the database."""
    wide = {name: np.random.default_rng(0).random(points).tolist() for name in CURVE}
    with SweepStore(folder) as store:
        store.remember("plan", "abc")
        for number in range(count):
            store.record(trial(number, curve=wide))
    return folder / FILE


def test_what_is_recorded_reads_back_the_same(tmp_path):
    trials = [
        trial(0),
        trial(2, seed=None, variant="ünï", settings={}),
        trial(1, status=Status.FAILED, message="x;'", curve={}),
    ]
    with SweepStore(tmp_path) as store:
        for each in trials:
            store.record(each)
        assert {n: at.text for n, at in store.progress().items()} == {0: "finished", 1: "failed", 2: "finished"}
    for path in (tmp_path, tmp_path / FILE):
        for got, expected in zip(read_trials(path), [trials[0], trials[2], trials[1]], strict=True):
            same(got, expected)


def test_values_that_are_not_finite_are_left_out(tmp_path):
    with SweepStore(tmp_path) as store:
        store.record(trial(0, values={"train_loss": float("inf"), "val_loss": float("nan"), "val_accuracy": 0.5}))
    assert read_trials(tmp_path)[0].values == {"val_accuracy": 0.5}


def test_a_number_recorded_again_replaces_the_first(tmp_path):
    with SweepStore(tmp_path) as store:
        store.record(trial(0, status=Status.FAILED))
        store.record(trial(0))
        assert [each.status for each in store.trials()] == ["finished"]


def test_facts_are_remembered(tmp_path):
    with SweepStore(tmp_path) as store:
        assert store.fact("engine") is None
        store.remember("engine", {"kind": "loop"})
        store.remember("engine", {"kind": "vector"})
    with SweepStore(tmp_path) as store:
        assert store.fact("engine") == {"kind": "vector"}


def test_a_closed_store_is_one_file(tmp_path):
    recorded(tmp_path, 3)
    assert {path.name for path in tmp_path.iterdir()} == {FILE, "sweep.lock"}


def test_a_sweep_that_runs_can_be_read(tmp_path):
    with SweepStore(tmp_path) as store:
        store.record(trial(0))
        assert len(read_trials(tmp_path)) == 1


def test_a_second_process_is_refused_until_the_first_ends(tmp_path):
    with SweepStore(tmp_path), pytest.raises(UsageError, match="another process is working on this sweep"):
        SweepStore(tmp_path)
    SweepStore(tmp_path).close()


@pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
def test_a_killed_process_leaves_all_it_recorded_and_no_lock(tmp_path):
    code = f"""
        import os, signal, sys
        sys.path.insert(0, {str(Path.cwd())!r})
        from pathlib import Path
        from lrtool.runs.sweep.store import StoredTrial, SweepStore
        from lrtool.status import Status
        store = SweepStore(Path({str(tmp_path)!r}))
        for number in range(7):
            store.record(StoredTrial(number, "a", {{}}, 0, Status.FINISHED, 1, 0.0))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(read_trials(tmp_path)) == 7
    with SweepStore(tmp_path) as store:
        assert list(store.progress()) == list(range(7))


def test_a_newer_database_is_refused(tmp_path):
    file = recorded(tmp_path, 1)
    with closing(sqlite3.connect(file)) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    for opened in (read_trials, SweepStore):
        with pytest.raises(UsageError, match=rf"schema {SCHEMA + 1}, but this lrtool reads up to {SCHEMA}; update"):
            opened(tmp_path)
    # Nothing was moved or changed by trying.
    assert not list(tmp_path.glob("*.damaged*"))


@pytest.mark.parametrize("content", [b"", b"not a database, but text that is long enough to be looked at" * 20])
def test_what_is_no_database_is_refused(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(UsageError, match="database"):
        read_trials(tmp_path)


def test_an_empty_store_is_a_damaged_one(tmp_path):
    os.truncate(recorded(tmp_path, 3), 0)
    with pytest.raises(UsageError, match=r"is damaged: it is empty; `lrtool sweep --resume RUN`"):
        read_trials(tmp_path)


def test_of_a_store_whose_index_alone_is_damaged_nothing_is_lost(tmp_path):
    file = recorded(tmp_path, 3)
    with closing(sqlite3.connect(file)) as database:
        page = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_facts_1'").fetchone()
        size = database.execute("PRAGMA page_size").fetchone()[0]
    content = bytearray(file.read_bytes())
    content[(page[0] - 1) * size : page[0] * size] = bytes(size)
    file.write_bytes(content)
    heard = []
    with SweepStore(tmp_path, heard.append) as store:
        assert len(store.progress()) == 3 and store.fact("plan") == "abc" and store.fact(DAMAGED) is None
    assert "nothing is lost (the damaged file is kept as" in heard[0]


def test_a_missing_store_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no sweep's database"):
        read_trials(tmp_path)


def damaged(file, start, length=3000):
    """Overwrite bytes in the middle of a file."""
    content = bytearray(file.read_bytes())
    at = int(len(content) * start)
    content[at : at + length] = os.urandom(length)
    file.write_bytes(content)


@pytest.mark.parametrize("start", [0.3, 0.5, 0.9])
def test_of_a_damaged_store_what_is_readable_is_kept_and_the_rest_named(tmp_path, start):
    file = recorded(tmp_path, 60)
    whole = read_trials(tmp_path)
    damaged(file, start)
    heard = []
    left = read_trials(tmp_path, heard.append)
    assert 40 <= len(left) < 60 and f"{len(left)} trials are recovered" in heard[0]
    for each in left:
        same(each, whole[each.number])


def test_a_damaged_store_is_rebuilt_from_what_is_readable(tmp_path):
    file = recorded(tmp_path, 60)
    damaged(file, 0.5)
    heard = []
    with SweepStore(tmp_path, heard.append) as store:
        known = store.progress()
        assert 40 <= len(known) < 60 and store.fact("plan") in ("abc", None)
        for number in set(range(60)) - known.keys():
            store.record(trial(number))
    assert "trained again" in heard[0] and (tmp_path / f"{FILE}.damaged-1").exists()
    assert len(read_trials(tmp_path)) == 60


def test_a_store_of_which_nothing_is_left_starts_anew(tmp_path):
    recorded(tmp_path, 3).write_bytes(os.urandom(20_000))
    heard = []
    with SweepStore(tmp_path, heard.append) as store:
        assert store.progress() == {}
    assert "no trial of it can be read" in heard[0]


def test_a_cut_store_keeps_its_beginning(tmp_path):
    file = recorded(tmp_path, 60)
    os.truncate(file, file.stat().st_size // 2)
    assert 20 <= len(read_trials(tmp_path, lambda _: None)) < 60
    with SweepStore(tmp_path, lambda _: None) as store:
        assert 20 <= len(store.progress()) < 60


def test_a_changed_byte_that_sqlite_does_not_notice_is_noticed(tmp_path):
    file = recorded(tmp_path, 1)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE trials SET final = replace(final, '0.25', '0.26')")
    heard = []
    assert read_trials(tmp_path, heard.append) == [] and "1 trials can be seen but not read" in heard[0]


def test_a_folder_that_cannot_be_written_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="cannot write here"):
        SweepStore(tmp_path / "missing")


def test_some_trials_can_be_asked_for(tmp_path):
    with SweepStore(tmp_path) as store:
        for number in range(4):
            store.record(trial(number))
        assert [each.number for each in store.some([3, 1, 9])] == [3, 1]


def test_a_store_remembers_that_it_was_damaged_until_it_forgets_its_trials(tmp_path):
    file = recorded(tmp_path, 30)
    with SweepStore(tmp_path) as store:
        assert store.fact(DAMAGED) is None
        store.remember("pruned:0", [1])
    os.truncate(file, file.stat().st_size // 2)
    with SweepStore(tmp_path, warn=lambda text: None) as store:
        assert "recovered" in store.fact(DAMAGED) and store.trials()
    with SweepStore(tmp_path) as store:
        assert store.fact(DAMAGED) is not None  # whoever is killed in between still knows
        store.forget("pruned")
        assert store.fact(DAMAGED) is store.fact("pruned:0") is None and store.trials() == []
        assert store.fact("plan") == "abc"
