"""Which file system a folder lies on, by the system's list of mounts."""

from pathlib import Path

import pytest

from lrtool.runs import file_system
from lrtool.runs.file_system import is_memory, is_network, kind_of

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
tmpfs /dev/shm tmpfs rw 0 0
//files/group /mnt/the\\040group cifs rw 0 0
/dev/sdb1 /home/local xfs rw 0 0
work /scratch lustre rw 0 0
"""


@pytest.fixture(autouse=True)
def mounts(tmp_path, monkeypatch):
    (tmp_path / "mounts").write_text(MOUNTS)
    monkeypatch.setattr(file_system, "_MOUNTS", tmp_path / "mounts")
    monkeypatch.setattr(file_system.sys, "platform", "linux")


@pytest.mark.parametrize(
    ("folder", "kind", "network"),
    [
        ("/home/me/outputs/not/there/yet", "nfs4", True),
        ("/home/local/me", "xfs", False),
        ("/homework", "ext4", False),
        ("/dev/shm/x", "tmpfs", False),
        ("/mnt/the group/x", "cifs", True),
        ("/scratch", "lustre", True),
        ("/", "ext4", False),
    ],
)
def test_the_innermost_mount_counts(folder, kind, network):
    assert kind_of(Path(folder)) == kind and is_network(kind) is network


def test_what_is_mounted_last_covers_what_was_there(tmp_path):
    (tmp_path / "mounts").write_text(MOUNTS + "other:/home /home ceph rw 0 0\n")
    assert kind_of(Path("/home/me")) == "ceph"


def test_memory_is_seen_by_no_other_machine():
    assert is_memory("tmpfs") and not is_memory("ext4") and not is_memory("nfs")


def test_nothing_is_known_where_there_is_no_list(monkeypatch, tmp_path):
    monkeypatch.setattr(file_system, "_MOUNTS", tmp_path / "none")
    assert kind_of(Path("/home")) == "" and not is_network("")
    monkeypatch.setattr(file_system.sys, "platform", "darwin")
    assert kind_of(Path("/home")) == ""
