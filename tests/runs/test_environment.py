import json
import logging
import subprocess
import sys

import pytest

from lrtool.errors import OutputError
from lrtool.runs.environment import environment
from lrtool.runs.log import logged


def test_it_says_with_what_and_where(tmp_path):
    found = environment(tmp_path, "cpu")
    assert found["versions"]["numpy"] == __import__("numpy").__version__
    assert found["cores"] >= 1 and found["processor"] and found["device"] == "cpu"
    assert found["git_commit"] is None
    assert found["command_line"] == sys.argv
    json.dumps(found)


def test_the_commit_is_that_of_the_users_folder(tmp_path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert environment(tmp_path, "cpu")["git_commit"] == commit


def test_it_does_not_import_torch(tmp_path):
    code = (
        "import sys; from pathlib import Path; from lrtool.runs.environment import environment;"
        "found = environment(Path('.'), 'cpu'); assert found['versions']['torch'], found;"
        "assert found['threads'] is None; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_log_holds_lrtools_messages_and_stops(tmp_path):
    logger = logging.getLogger("lrtool.somewhere")
    with logged(tmp_path / "log.txt"):
        logger.info("within")
    logger.info("after")
    text = (tmp_path / "log.txt").read_text()
    assert "INFO within" in text and "after" not in text


def test_a_log_that_cannot_be_opened_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="nowhere"), logged(tmp_path / "nowhere" / "log.txt"):
        pass
