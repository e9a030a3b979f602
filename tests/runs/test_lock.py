import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from lrtool.errors import OutputError, UsageError
from lrtool.runs.folder import RunFolder
from lrtool.runs.lock import FolderLock

ROOT = Path(__file__).parents[2]


def locked_elsewhere(folder, then):
    """A process that takes the lock of a folder, says so, and then does something; its stdout is open."""
    code = f"""
        import os, sys, time
        sys.path.insert(0, {str(ROOT)!r})
        from pathlib import Path
        from lrtool.runs.lock import FolderLock
        lock = FolderLock(Path({str(folder)!r}) / "run.lock", "run")
        {then}
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "locked\n"
    return process


def test_one_process_has_it_and_the_other_is_told_which(tmp_path):
    process = locked_elsewhere(tmp_path, 'print("locked", flush=True); time.sleep(600)')
    try:
        held = (tmp_path / "run.lock").read_bytes()
        with pytest.raises(
            UsageError, match=rf"another process is working on this run \(process {process.pid} on .+, since 2"
        ):
            FolderLock(tmp_path / "run.lock", "run")
        assert (tmp_path / "run.lock").read_bytes() == held
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    # A killed process leaves the file, and no lock.
    FolderLock(tmp_path / "run.lock", "run").close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_what_was_forked_off_keeps_no_lock_that_its_parent_had(tmp_path):
    then = r'pid = os.fork(); pid and print(f"locked\n{pid}", flush=True); time.sleep(600)'
    process = locked_elsewhere(tmp_path, then)
    child = int(process.stdout.readline())
    try:
        time.sleep(0.2)
        with pytest.raises(UsageError):  # nor does the child, when it lets go, end its parent's
            FolderLock(tmp_path / "run.lock", "run")
        process.send_signal(signal.SIGKILL)
        process.wait()
        FolderLock(tmp_path / "run.lock", "run").close()
    finally:
        os.kill(child, signal.SIGKILL)


def test_it_may_be_taken_again_by_whoever_has_the_folder(tmp_path):
    folder = RunFolder.create(tmp_path, "digits", "train")
    with folder.held():
        with folder.held():
            pass
        with pytest.raises(UsageError, match="another process"), RunFolder(folder.path).held():
            pass
    with RunFolder(folder.path).held():
        pass


def test_what_a_lock_says_of_its_holder_is_not_trusted(tmp_path):
    lock = FolderLock(tmp_path / "run.lock", "run")
    for text in ("", "{", "[]", '{"pid": "\x1b[2J\\u001b", "host": 1, "since": 2}'):
        (tmp_path / "run.lock").write_text(text)
        with pytest.raises(UsageError, match="another process is working on this run"):
            FolderLock(tmp_path / "run.lock", "run")
    lock.close()


def test_a_file_system_without_locks_is_said_to_be_one(tmp_path, monkeypatch, caplog):
    fcntl = pytest.importorskip("fcntl")

    def refused(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refused)
    FolderLock(tmp_path / "run.lock", "run").close()
    assert "has no locks" in caplog.text


def test_a_folder_that_cannot_be_written_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="cannot write here"):
        FolderLock(tmp_path / "missing" / "run.lock", "run")
