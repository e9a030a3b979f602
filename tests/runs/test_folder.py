import json
import multiprocessing
import os

import pytest

from lrtool.errors import OutputError, UsageError
from lrtool.runs.folder import RunFolder


def made(output, name="digits", command="train"):
    folder = RunFolder.create(output, name, command)
    folder.write_text("config.yaml", "seed: 0\n")
    folder.make_latest()
    return folder


def _many(output, count):
    return [str(made(output).path) for _ in range(count)]


def test_processes_never_share_a_folder(tmp_path):
    context = multiprocessing.get_context("fork")
    with context.Pool(4) as pool:
        paths = [path for made in pool.starmap(_many, [(tmp_path, 10)] * 4) for path in made]
    assert len(set(paths)) == 40
    assert str((tmp_path / "digits" / "latest").resolve()) in paths


def test_latest_points_at_the_newest(tmp_path):
    made(tmp_path)
    second = made(tmp_path, command="range-test")
    for path in (tmp_path / "digits" / "latest", tmp_path / "digits", second.path):
        assert RunFolder.open(path).path == second.path.resolve()
    names = [path.name for path in (tmp_path / "digits").iterdir()]
    assert len(names) == 3 and names.count("latest") == 1


def test_a_folder_is_the_latest_once_something_is_kept(tmp_path):
    first = made(tmp_path)
    second = RunFolder.create(tmp_path, "digits", "tune")
    assert (tmp_path / "digits" / "latest").resolve() == first.path.resolve()
    second.make_latest()
    assert (tmp_path / "digits" / "latest").resolve() == second.path.resolve()
    RunFolder.open(first.path).make_latest()
    assert (tmp_path / "digits" / "latest").resolve() == second.path.resolve(), "one that goes on is no new one"


def test_a_link_that_a_killed_process_left_is_removed(tmp_path):
    folder = tmp_path / "digits"
    folder.mkdir()
    for name in ("old", "new"):
        (folder / f".latest-1-{name}").symlink_to("somewhere")
    os.utime(folder / ".latest-1-old", (0, 0), follow_symlinks=False)
    made(tmp_path)
    assert not (folder / ".latest-1-old").is_symlink() and (folder / ".latest-1-new").is_symlink()


def test_where_there_are_no_links_latest_is_a_file_with_the_name(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    folder = made(tmp_path)
    assert (tmp_path / "digits" / "latest").read_text() == folder.path.name
    for path in (tmp_path / "digits" / "latest", tmp_path / "digits"):
        assert RunFolder.open(path).path == folder.path.resolve()


@pytest.mark.parametrize(("name", "below"), [("../../etc", "etc"), ("my run/β", "my-run"), ("..", "run"), ("", "run")])
def test_names_cannot_leave_the_output_folder(tmp_path, name, below):
    assert RunFolder.create(tmp_path / "out", name, "train").path.parent == tmp_path / "out" / below


def test_no_run_folder_is_said_so(tmp_path):
    with pytest.raises(UsageError, match="there is no such folder"):
        RunFolder.open(tmp_path / "nothing")
    with pytest.raises(UsageError, match=r"not a run folder \(it has no config.yaml\)"):
        RunFolder.open(tmp_path)


def test_a_run_of_a_newer_lrtool_is_refused(tmp_path):
    folder = made(tmp_path)
    (folder.path / "summary.json").write_text(json.dumps({"schema": 99}))
    with pytest.raises(UsageError, match=r"schema 99.*update lrtool"):
        RunFolder.open(folder.path)


def test_an_output_that_cannot_be_made_names_the_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--output DIR") as caught:
        RunFolder.create(tmp_path / "file", "digits", "train")
    assert str(tmp_path / "file") in str(caught.value)
    assert caught.value.exit_code == 5


def test_it_holds_metrics_and_files(tmp_path):
    folder = made(tmp_path)
    with folder.metrics(("val_loss",)) as writer:
        writer.write([{"trial": 0, "step": 0, "epoch": 0, "lr": 0.1, "train_loss": 1.0, "seconds": 0.1}])
    folder.write_json("environment.json", {"threads": float("nan")})
    folder.write_bytes("x.bin", b"\x00")
    assert json.loads((folder.path / "environment.json").read_text()) == {"threads": None}
    assert {file.name for file in folder.path.iterdir()} == {
        "checkpoints",
        "config.yaml",
        "environment.json",
        "metrics.csv",
        "x.bin",
    }
