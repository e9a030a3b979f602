"""Child processes end with whoever started them, and a signal that came as they were started is heard."""

import signal
import subprocess
import sys

import pytest

from lrtool.children import heard
from lrtool.errors import Interrupted

FORGOTTEN = """
import time
from lrtool.children import Child
def life(connection):
    time.sleep(600)
if __name__ == "__main__":
    child = Child({method!r}, life)
    print(child.process.pid)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_child_that_nobody_ends_does_not_keep_its_parent(tmp_path):
    script = tmp_path / "forgotten.py"
    script.write_text(FORGOTTEN.format(method="fork"))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.strip().isdigit(), done.stderr


def test_a_signal_that_nobody_passed_on_is_heard_before_children_are(monkeypatch):
    monkeypatch.setattr(Interrupted, "heard", Interrupted(signal.SIGTERM))
    with pytest.raises(Interrupted):
        list(heard([], 0))
