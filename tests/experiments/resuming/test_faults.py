"""Power cuts and failing disks at any file operation of a training: what was saved goes on, nothing is silent."""

import errno
import shutil
from pathlib import Path

import pytest

from lrtool.config.load import load_config
from lrtool.errors import OutputError
from lrtool.experiments.setup import prepare
from lrtool.experiments.train import resume_training, run_training
from lrtool.runs.folder import RunFolder
from tests.experiments.resuming.file_layer import FileLayer, replayed
from tests.experiments.test_train import bytes_without_seconds

pytestmark = pytest.mark.usefixtures("undrawn")

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)
SMALL = {"train__duration": 12, "train__eval_every": 4, "train__checkpoint_every": 3}


@pytest.fixture
def recorded(configured, silent, tmp_path):
    """A training with all its file operations, and its folder."""
    root = tmp_path / "whole"
    root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        layer = FileLayer(root)
        layer.install(patch)
        folder = run_training(configured(**SMALL), root, silent).session.folder
    return layer, folder


def goes_on(folder, silent):
    resume_training(prepare(load_config(folder / "config.yaml")), RunFolder.open(folder), silent)
    return bytes_without_seconds(folder), (folder / "checkpoints" / "best.safetensors").read_bytes()


def power_cuts(recorded, silent, tmp_path, moments):
    layer, folder = recorded
    wanted = bytes_without_seconds(folder.path), (folder.checkpoints / "best.safetensors").read_bytes()
    begun = next(n for n, each in enumerate(layer.done) if each[0] == "rename" and each[2].endswith("config.yaml"))
    for number, prefix in enumerate(list(range(begun + 1, len(layer.done)))[moments]):
        target = tmp_path / "cut"
        replayed(layer.done[:prefix], layer.root, target, torn=number % 2 == 0)
        there = target / folder.path.relative_to(layer.root)
        assert goes_on(there, silent) == wanted, f"after {prefix} operations: {layer.done[prefix - 1][:2]}"
        shutil.rmtree(target)


def failing(recorded, configured, silent, tmp_path, moments):
    layer, folder = recorded
    wanted = bytes_without_seconds(folder.path), (folder.checkpoints / "best.safetensors").read_bytes()
    for number, at in enumerate(list(range(1, layer.count + 1))[moments]):
        root = tmp_path / "failing"
        root.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            disk = FileLayer(root, at, ERRORS[number % 3])
            disk.install(patch)
            try:
                run_training(configured(**SMALL), root, silent)
            except OutputError:
                pass
            else:
                assert needless(disk), f"{disk.failed} failed in silence"
        made = [path.parent for path in root.glob("*/*/config.yaml") if not path.parent.is_symlink()]
        if made:
            assert goes_on(made[0], silent) == wanted, f"after operation {at} failed"
        shutil.rmtree(root)


def needless(disk):
    """Whether what failed was not needed: the removal of a file, or the sync of a folder where there is none of it."""
    kind, path = disk.failed
    return kind == "unlink" or (kind == "fsync" and Path(path).is_dir() and disk.errno == errno.EACCES)


def test_any_power_cut_leaves_what_goes_on_to_the_same_result(recorded, silent, tmp_path):
    power_cuts(recorded, silent, tmp_path, slice(None, None, 11))


def test_no_failing_disk_is_silent_and_what_it_leaves_goes_on(recorded, configured, silent, tmp_path):
    failing(recorded, configured, silent, tmp_path, slice(None, None, 13))


@pytest.mark.deep
def test_every_power_cut(recorded, silent, tmp_path):
    power_cuts(recorded, silent, tmp_path, slice(None))


@pytest.mark.deep
def test_every_failing_operation(recorded, configured, silent, tmp_path):
    failing(recorded, configured, silent, tmp_path, slice(None))
