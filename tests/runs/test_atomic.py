import os
import subprocess
import sys
from pathlib import Path

import pytest

from lrtool.errors import OutputError
from lrtool.runs import atomic


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    atomic.write_text(path, "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"No space left on device; .*--output DIR"):
        atomic.write_text(path, "new")
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic.write_text(tmp_path / "a.txt", "new")
    assert list(tmp_path.iterdir()) == []


def test_json_has_no_nan(tmp_path):
    atomic.write_json(tmp_path / "a.json", {"a": [float("nan"), (float("inf"), 1.5)], "b": {"c": float("-inf")}})
    assert '"a": [\n    null,\n    [\n      null,\n      1.5' in (tmp_path / "a.json").read_text()


def test_files_get_the_mode_that_the_umask_gives(tmp_path):
    old = os.umask(0o027)
    try:
        atomic.write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(old)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_a_missing_folder_names_the_path(tmp_path):
    with pytest.raises(OutputError, match="nowhere"):
        atomic.write_text(tmp_path / "nowhere" / "a.txt", "x")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_a_user_names_that_is_no_file_is_written_to_and_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    atomic.write_output(pipe, "a,b\n")
    assert os.read(reader, 100) == b"a,b\n" and pipe.is_fifo()
    os.close(reader)
    atomic.write_output(Path(os.devnull), b"nothing")
    assert not Path(os.devnull).is_file()
    link = tmp_path / "link"
    link.symlink_to(os.devnull)
    atomic.write_output(link, b"nothing")
    assert link.is_symlink()
    atomic.write_output(tmp_path / "file", "whole")
    assert (tmp_path / "file").read_text() == "whole"


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="the system has no device that is always full")
def test_a_full_device_is_said(tmp_path):
    with pytest.raises(OutputError, match="space"):
        atomic.write_output(Path("/dev/full"), b"x" * 100_000)
    assert Path("/dev/full").is_char_device()


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="this system has no /dev/stdout")
def test_standard_output_is_written_to_by_its_name(tmp_path):
    command = [sys.executable, "-m", "lrtool", "schedule", "show", "cosine", "--quiet", "--csv", "/dev/stdout"]
    with (tmp_path / "out.csv").open("w") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
    said = (tmp_path / "out.csv").read_text()
    assert done.returncode == 0 and said.startswith("step,lr\n"), done.stderr
    assert Path("/dev/stdout").is_symlink()
