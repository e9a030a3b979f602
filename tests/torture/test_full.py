"""A slice of the full disks of `make torture`: none is silent, and what was saved goes on once there is room."""

import pytest

from tests.torture.campaigns.full import COMMANDS, CannotMountError, Tight, mounted

#: How many rooms are tried, from none to a little less than enough.
ROOMS = 3


@pytest.fixture(autouse=True)
def own_places(monkeypatch, tmp_path):
    """`write_configs` says where lrtool remembers; afterwards it is as before."""
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


def tried(command, folder, disk):
    tight = Tight(command, folder, disk)
    tight.run(ROOMS, still_full=False)
    assert tight.counts["said"] and tight.counts["went on to the same result"] + tight.counts["had room enough"]


DEEP = ("transfer", "range-test", "tune")


@pytest.mark.parametrize(
    "command", [pytest.param(name, marks=[pytest.mark.deep] if name in DEEP else []) for name in COMMANDS]
)
def test_a_file_that_may_not_grow_is_said_and_what_was_saved_goes_on(tmp_path, command):
    tried(command, tmp_path, None)


@pytest.mark.parametrize("command", ["train", pytest.param("tune", marks=pytest.mark.deep), "sweep"])
def test_a_full_file_system_is_said_and_what_was_saved_goes_on(tmp_path, command):
    try:
        with mounted(tmp_path / "disk") as disk:
            tried(command, tmp_path, disk)
    except CannotMountError as error:
        pytest.skip(f"no small file system can be mounted here: {error}")
