"""What all tests share: folders of their own, which of them are slow, and how many examples they draw."""

import gc
import os
import signal
from pathlib import Path

import pytest

#: Whose tests train, compile, simulate, draw many figures or start processes; other slow tests are marked one by one.
SLOW = (
    "analysis/test_lr_fit.py",
    "analysis/test_suggest.py",
    "api",
    "cli",
    "docs",
    "engine",
    "executors",
    "experiments",
    "integrations",
    "live",
    "loggers",
    "optimizers/test_random_settings.py",
    "optimizers/test_references.py",
    "optimizers/test_updates.py",
    "report/test_figures.py",
    "report/plots/test_range_test.py",
    "report/plots/test_reading.py",
    "report/plots/test_tune.py",
    "schedules/test_properties.py",
    "test_configs.py",
    "test_doctests.py",
)

#: Whether `make test-deep` asked for all examples of the tests that draw theirs.
DEEP = os.environ.get("LRTOOL_TEST_DEEP") == "1"


def examples(count):
    """How many examples a test draws that has `count` of them: a quarter, or all in `make test-deep`."""
    return count if DEEP else max(25, count // 4)


def pytest_collection_modifyitems(items):
    """Mark what `make test-quick` leaves out."""
    slow = [Path(__file__).parent / "tests" / name for name in SLOW]
    for item in items:
        if any(item.path.is_relative_to(path) for path in slow):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True, scope="session")
def own_folders(tmp_path_factory):
    """What is measured about speed, and remembered of runs, neither comes from the user's folders nor goes there."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "LOCALAPPDATA"):
            patch.setenv(name, str(tmp_path_factory.getbasetemp() / name.lower()))
        # A job that runs the tests shall not have what they find in its summary.
        patch.delenv("GITHUB_STEP_SUMMARY", raising=False)
        yield


@pytest.fixture(autouse=True, scope="session")
def own_signals():
    """Signals do what they do in a terminal, also where the tests run in the background or under nohup."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def undrawn(monkeypatch):
    """Commands draw no plots: they take longer than all else."""
    monkeypatch.setattr("lrtool.report.pictures.picture", lambda *_: None)


@pytest.fixture
def quiet_collector():
    """The garbage collector calls no function: Hypothesis has it do so, and what a signal raises there is lost."""
    before, gc.callbacks[:] = gc.callbacks[:], []
    gc.disable()
    yield
    gc.enable()
    gc.callbacks[:] = before
