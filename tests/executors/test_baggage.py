"""The user's own files travel whole, without what is not theirs, and only so much of them."""

import os
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from lrtool.errors import OutputError, UsageError
from lrtool.executors import baggage
from lrtool.executors.baggage import own_folder, pack, unpacked


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))


@pytest.fixture
def project(tmp_path):
    """A user's folder with code, data, and much that should stay where it is."""
    for name in (
        "net.py", "parts/layer.py", "data/points.npz", ".git/config", ".env", "__pycache__/net.pyc", ".venv/pyvenv.cfg",
        "env/pyvenv.cfg", "env/lib/big.py", "outputs/run/1/environment.json", "outputs/run/1/metrics.csv",
    ):  # fmt: skip
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "project"


def names(packed):
    return sorted(zipfile.ZipFile(BytesIO(packed.archive)).namelist())


def test_code_and_data_travel_and_nothing_else(project):
    assert names(pack([project])) == ["0/data/points.npz", "0/net.py", "0/parts/layer.py"]


def test_what_was_written_is_found_where_it_was_unpacked(project, tmp_path):
    alone = tmp_path / "elsewhere.csv"
    alone.write_text("x,y\n")
    packed = pack([project, project / "net.py", alone], also=[project / "parts", tmp_path])
    folder = unpacked(packed.manifest.digest, lambda: packed.archive)
    places = packed.manifest.places(folder)
    assert Path(places[str(project / "net.py")]).read_text() == "net.py"
    assert (Path(places[str(project)]) / "parts" / "layer.py").read_text() == "parts/layer.py"
    assert (Path(places[str(project / "parts")]) / "layer.py").is_file()
    assert Path(places[str(alone)]).read_text() == "x,y\n"
    assert str(tmp_path) not in places


def test_it_is_unpacked_once(project):
    packed = pack([project])
    first = unpacked(packed.manifest.digest, lambda: packed.archive)
    assert unpacked(packed.manifest.digest, lambda: pytest.fail("fetched again")) == first
    assert [each.name for each in own_folder().iterdir()] == [packed.manifest.digest]


def test_the_same_files_make_the_same_archive(project):
    first = pack([project])
    os.utime(project / "net.py", (1, 1))
    assert pack([project]) == first
    (project / "net.py").write_text("other")
    assert pack([project]).manifest.digest != first.manifest.digest


def test_links_are_followed_and_never_in_a_circle(project, tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "x.npy").write_text("x")
    (project / "linked").symlink_to(tmp_path / "far")
    (project / "round").symlink_to(project)
    assert names(pack([project])) == ["0/data/points.npz", "0/linked/x.npy", "0/net.py", "0/parts/layer.py"]


def test_nothing_to_take(tmp_path):
    assert pack([]) is None
    assert pack([tmp_path / "not there"]) is None


@pytest.mark.parametrize(("limit", "value"), [("MOST_BYTES", 20), ("MOST_FILES", 2)])
def test_what_is_too_large_is_refused_by_name(project, monkeypatch, limit, value):
    monkeypatch.setattr(baggage, limit, value)
    (project / "large.bin").write_bytes(b"1" * 3_000_000)
    with pytest.raises(UsageError, match=r"cluster.ship: 4 files of 3 MB .*large.bin \(3 MB\).*cluster: {ship: false}"):
        pack([project])


def test_nothing_is_run_from_a_folder_that_others_can_write_to(project):
    packed = pack([project])
    own_folder().chmod(0o777)
    with pytest.raises(OutputError, match=r"not this user's alone.*TMPDIR"):
        unpacked(packed.manifest.digest, lambda: packed.archive)
