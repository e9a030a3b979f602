"""What all tests share: a cache of their own, and which of them are slow."""

from pathlib import Path

import pytest

#: Folders and files whose tests train, compile or start processes; elsewhere a slow test is marked by itself.
SLOW = {"cli", "engine", "executors", "experiments", "integrations", "test_configs.py"}


def pytest_collection_modifyitems(items):
    """Mark what `make test-quick` leaves out."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.path.relative_to(here).parts[0] in SLOW:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """What is measured about speed neither comes from the user's cache nor goes there."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
            patch.setenv(name, str(tmp_path_factory.getbasetemp() / "cache"))
        yield
