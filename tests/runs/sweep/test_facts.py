"""What a sweep remembers: as it was written, or noticed."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lrtool.errors import OutputError, UsageError
from lrtool.runs.sweep.store import DAMAGED, FILE, StoredTrial, SweepStore, read_fact, read_trials
from lrtool.status import Status

RELEASED = Path(__file__).parents[1] / "released"


@pytest.fixture
def store(tmp_path):
    with SweepStore(tmp_path) as made:
        made.remember("engine:a", {"engine": "loop", "compiled": False})
        made.remember("higher_is_better", {"val_accuracy": True})
        made.record(StoredTrial(0, "a", {"optimizer.lr": 0.1}, 0, Status.FINISHED, 10, 1.0, {"val_loss": 0.5}))
    return tmp_path


@pytest.mark.parametrize("column", ["key", "value", "checksum"])
def test_a_changed_fact_is_noticed_and_no_trial_kept_that_came_of_it(store, column):
    change = {"key": "'engine:b'", "value": "replace(value, 'loop', 'vector')", "checksum": "checksum + 1"}[column]
    with closing(sqlite3.connect(store / FILE)) as database, database:
        database.execute(f"UPDATE facts SET {column} = {change} WHERE key = 'engine:a'")
    with pytest.raises(UsageError, match=r"damaged: what it remembers as 'engine:a'"):
        read_fact(store, "engine:a")
    heard = []
    with SweepStore(store, heard.append) as again:
        assert again.progress() == {} and again.fact("engine:a") is None and again.fact(DAMAGED)
    assert "what was decided cannot be read" in heard[0] and (store / f"{FILE}.damaged-1").is_file()


@pytest.mark.parametrize("released", sorted(path.name for path in RELEASED.iterdir()))
def test_sweeps_of_released_versions_are_read_and_go_on(tmp_path, released):
    shutil.copytree(RELEASED / released / "sweep", tmp_path / "s")
    before = read_trials(tmp_path / "s")
    assert len(before) == 4 and read_fact(tmp_path / "s", "plan")
    with SweepStore(tmp_path / "s") as again:
        assert again.fact("plan") == read_fact(RELEASED / released / "sweep", "plan")
        again.remember("more", 1)
    # As text: a value that was not measured equals nothing, itself neither.
    assert repr(read_trials(tmp_path / "s")) == repr(before) and read_fact(tmp_path / "s", "more") == 1
    with closing(sqlite3.connect(tmp_path / "s" / FILE)) as database, database:
        database.execute("UPDATE facts SET value = ? WHERE key = 'plan'", (json.dumps("x"),))
    with pytest.raises(UsageError, match="damaged"):
        read_fact(tmp_path / "s", "plan")


def test_a_database_that_is_removed_meanwhile_is_an_error(tmp_path):
    store = SweepStore(tmp_path)
    (tmp_path / FILE).unlink()
    with pytest.raises(OutputError, match="cannot write here"):
        store.remember("a", 1)
    with pytest.raises(OutputError, match="cannot write here"):
        store.close()
