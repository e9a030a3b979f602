"""What all tests share."""

import pytest


@pytest.fixture(autouse=True)
def own_state(monkeypatch, tmp_path_factory):
    """What is remembered of runs that were started neither comes from the user's state folder nor goes there."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
