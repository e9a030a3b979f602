"""What all tests share: folders of their own, and which of them are slow."""

from pathlib import Path

import pytest

#: Whose tests train, compile, simulate, draw many figures or start processes; other slow tests are marked one by one.
SLOW = (
    "analysis/test_lr_fit.py",
    "analysis/test_suggest.py",
    "cli",
    "engine",
    "executors",
    "experiments",
    "integrations",
    "optimizers/test_updates.py",
    "report/test_figures.py",
    "report/plots/test_tune.py",
    "test_configs.py",
)


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
