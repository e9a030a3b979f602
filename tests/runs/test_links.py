import os

import pytest

from lrtool.engine.loop import checkpoint
from lrtool.engine.loop.checkpoint import Checkpoint
from lrtool.errors import UsageError
from lrtool.runs.folder import RunFolder
from lrtool.runs.links import check_all, opened
from lrtool.runs.log import logged
from lrtool.runs.metrics import MetricsWriter
from lrtool.runs.sweep.store import SweepStore


@pytest.fixture
def victim(tmp_path):
    """A file elsewhere, which stays as it is."""
    path = tmp_path / "victim"
    path.write_text("mine")
    yield path
    assert path.read_text() == "mine"


@pytest.fixture
def folder(tmp_path):
    """A run folder, empty."""
    path = tmp_path / "run"
    path.mkdir()
    return path


@pytest.mark.parametrize("make", ["symlink_to", "hardlink_to"])
def test_a_file_that_is_changed_in_place_has_one_name(folder, victim, make):
    getattr(folder / "a.txt", make)(victim)
    with pytest.raises(UsageError, match="link"):
        opened(folder / "a.txt", os.O_WRONLY | os.O_APPEND)
    with pytest.raises(UsageError, match="link"), logged(folder / "a.txt"):
        pass


def test_a_link_to_nothing_makes_nothing(folder, tmp_path):
    (folder / "log.txt").symlink_to(tmp_path / "new")
    with pytest.raises(UsageError, match=f"log.txt is a link to {tmp_path}/new"), logged(folder / "log.txt"):
        pass
    assert not (tmp_path / "new").exists()


def test_a_file_is_not_exchanged_for_a_link_between_look_and_opening(folder, victim, monkeypatch):
    (folder / "a.txt").symlink_to(victim)
    monkeypatch.setattr("lrtool.runs.links.check_file", lambda path: None)
    with pytest.raises(OSError, match="symbolic"):
        opened(folder / "a.txt", os.O_WRONLY)
    (folder / "a.txt").unlink()
    (folder / "a.txt").hardlink_to(victim)
    with pytest.raises(UsageError, match="2 names"):
        opened(folder / "a.txt", os.O_WRONLY)


def test_checkpoints_are_not_written_through_a_link(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "step-00000001.json").write_text("mine")
    (folder / "checkpoints").symlink_to(elsewhere)
    with pytest.raises(UsageError, match="checkpoints is a link"):
        checkpoint.save(folder / "checkpoints", Checkpoint(2, {}, {}))
    with pytest.raises(UsageError, match="checkpoints is a link"):
        RunFolder(folder).write_bytes("checkpoints/best.safetensors", b"")
    assert [path.read_text() for path in elsewhere.iterdir()] == ["mine"]


def test_metrics_replace_a_link_and_do_not_follow_it(folder, victim):
    (folder / "metrics.csv").symlink_to(victim)
    MetricsWriter(folder / "metrics.csv", ()).close()
    assert not (folder / "metrics.csv").is_symlink()


@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-journal"])
def test_sqlite_follows_no_link(folder, victim, ending):
    (folder / f"sweep.sqlite{ending}").symlink_to(victim)
    with pytest.raises(UsageError, match="is a link"):
        SweepStore(folder)


def test_links_are_found_however_deep(folder, tmp_path):
    (folder / "tune/a/b").mkdir(parents=True)
    check_all(folder)
    (folder / "tune/a/b/c").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(UsageError, match="c is a link"):
        check_all(folder)


def test_a_run_folder_that_is_a_link_itself_is_the_users_matter(folder, tmp_path):
    (folder / "config.yaml").write_text("seed: 0\n")
    (tmp_path / "there").symlink_to(folder)
    with RunFolder.open(tmp_path / "there").held():
        pass


def test_a_latest_of_a_run_within_leads_only_to_a_folder_beside_it(folder, tmp_path):
    (folder / "tune/a/1-tune").mkdir(parents=True)
    link = folder / "tune/a/latest"
    link.symlink_to("1-tune")
    check_all(folder)
    (folder / "tune/a/2-tune").symlink_to(tmp_path)
    for target in ("..", ".", "2-tune", "../a/1-tune", tmp_path, folder / "tune/a/1-tune", "nowhere"):
        link.unlink()
        link.symlink_to(target)
        with pytest.raises(UsageError, match="is a link"):
            check_all(folder)
