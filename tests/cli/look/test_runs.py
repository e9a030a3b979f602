"""`lrtool runs`: what is there, newest first, whatever state it is in."""

import json
import os
import socket
import subprocess
import sys

import pytest


@pytest.fixture
def outputs(tmp_path):
    """Makes run folders below outputs/, as a command, or whatever ended it, left them."""

    def make(name, stamp, command, summary=None, **files):
        folder = tmp_path / "outputs" / name / f"{stamp}-{command}"
        folder.mkdir(parents=True)
        if summary is not None:
            text = summary if isinstance(summary, str) else json.dumps({"schema": 1, "command": command, **summary})
            (folder / "summary.json").write_text(text)
        for file, content in files.items():
            (folder / file.replace("__", ".")).write_text(content)
        return folder

    return make


@pytest.fixture
def several(outputs):
    final = {"step": 9, "train_loss": 0.5, "val_loss": 0.25}
    outputs("mlp", "20260101-000001", "range-test", {"status": "finished", "suggested_lr": 0.0123456})
    outputs("mlp", "20260101-000002", "train", {"status": "finished", "lr": 0.0123456, "final": final})
    outputs("cnn", "20260101-000003", "tune", {"status": "finished", "suggested_lr": 0.3, "expected_loss": 1.5})
    leaders = [{"settings": {"optimizer.lr": 0.1}, "mean": 0.75, "variant": "x"}]
    outputs("schedules", "20260101-000004", "sweep", {"status": "finished", "leaders": leaders})
    outputs("mlp", "20260101-000005", "train", {"status": "diverged", "lr": 3, "final": None})


def listed(cli, *options):
    code, out, err = cli("runs", "--json", *options)
    assert (code, err) == (0, "")
    return json.loads(out)


def test_runs_are_listed_newest_first_with_lr_and_loss(cli, several):
    found = [(each["name"], each["command"], each["status"], each["lr"], each["loss"]) for each in listed(cli)]
    assert found == [
        ("mlp", "train", "diverged", 3, None),
        ("schedules", "sweep", "finished", 0.1, 0.75),
        ("cnn", "tune", "finished", 0.3, 1.5),
        ("mlp", "train", "finished", 0.0123456, 0.25),
        ("mlp", "range-test", "finished", 0.0123456, None),
    ]
    code, out, _ = cli("runs")
    lines = out.splitlines()
    assert code == 0 and len(lines) == 6
    assert lines[0].split() == ["name", "command", "when", "status", "lr", "loss", "folder"]
    assert lines[4].split()[:7] == ["mlp", "train", "2026-01-01", "00:00:02", "finished", "0.0123", "0.25"]


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        (["--command", "train"], [5, 2]),
        (["--name", "cnn"], [3]),
        (["--limit", 2], [5, 4]),
        (["-n", 0], [5, 4, 3, 2, 1]),
        (["-n", "9" * 30], [5, 4, 3, 2, 1]),
        (["--command", "train", "-n", 1], [5]),
        (["outputs/mlp"], [5, 2, 1]),
        (["--output", "outputs"], [5, 4, 3, 2, 1]),
        (["--name", "nobody"], []),
    ],
)
def test_some_can_be_asked_for(cli, several, options, seconds):
    assert [int(each["when"][-2:]) for each in listed(cli, *options)] == seconds


def test_quiet_gives_folders_and_more_are_said(cli, several):
    assert cli("runs", "-q", "-n", 1)[1] == "outputs/mlp/20260101-000005-train\n"
    assert "older ones" in cli("runs", "-n", 1)[1] and "older ones" not in cli("runs", "-n", 5)[1]


#: What is left of runs that did not end well: files, and what is listed.
BROKEN = {
    "nothing at all": ({}, ("train", "killed", None)),
    "an empty summary": ({"summary": ""}, ("train", "killed", None)),
    "half a summary": ({"summary": '{"schema": 1, "com'}, ("train", "killed", None)),
    "a list for a summary": ({"summary": "[1]"}, ("train", "killed", None)),
    "odd values": (
        {"summary": {"status": 3, "lr": "high", "final": [1], "leaders": {"a": 1}}},
        ("train", "killed", None),
    ),
    "an LR of hundreds of digits": ({"summary": {"lr": 10**400, "suggested_lr": 10**400}}, ("train", "killed", None)),
    "such an LR in a config": ({"config__yaml": f"optimizer: {{lr: {10**400}}}"}, ("train", "killed", None)),
    "a config only": ({"config__yaml": "optimizer: {kind: sgd, lr: 1e-3}\n"}, ("train", "killed", 0.001)),
    "a broken config": ({"config__yaml": "optimizer: {kind: sgd"}, ("train", "killed", None)),
    "a config without an optimizer": ({"config__yaml": "[1]"}, ("train", "killed", None)),
}


@pytest.mark.parametrize(("left", "said"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_listed_all_the_same(cli, outputs, left, said):
    outputs("mlp", "20260101-000001", "train", **left)
    (run,) = listed(cli)
    assert (run["command"], run["status"], run["lr"]) == said and run["loss"] is None
    assert cli("runs")[0] == 0


def test_a_run_that_goes_on_is_running(cli, outputs):
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": "now"}
    outputs("mlp", "20260101-000001", "train", run__lock=json.dumps(holder))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    outputs("mlp", "20260101-000002", "sweep", sweep__lock=json.dumps({**holder, "pid": gone.pid}))
    outputs("mlp", "20260101-000003", "train", {"status": "interrupted"}, run__lock=json.dumps(holder))
    assert [each["status"] for each in listed(cli)] == ["running", "killed", "running"]


def test_strange_company_is_no_run(cli, outputs, tmp_path):
    folder = outputs("mlp", "20260101-000001", "train", {"status": "finished"})
    (folder.parent / "latest").symlink_to(folder.name)
    (folder.parent / "notes").mkdir()
    (tmp_path / "outputs" / "file.txt").write_text("")
    renamed = outputs("mlp", "20260101-000002", "tune", {"status": "finished"})
    renamed.rename(renamed.parent / "the good one")
    assert sorted(each["command"] for each in listed(cli)) == ["train", "tune"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes in folders")
def test_a_pipe_is_not_waited_for(cli, outputs):
    folder = outputs("mlp", "20260101-000001", "train")
    for name in ("summary.json", "config.yaml", "run.lock"):
        os.mkfifo(folder / name)
    assert [each["status"] for each in listed(cli)] == ["killed"]


def test_no_runs_and_no_folder(cli):
    assert listed(cli) == [] and "no such runs" in cli("runs")[1]
    assert cli("runs", "-q")[:2] == (0, "")
    code, _, err = cli("runs", "elsewhere")
    assert code == 2 and "there is no such folder" in err


def test_it_needs_no_torch(several, tmp_path):
    program = "import sys; sys.modules['torch'] = None; from lrtool.cli.app import run; sys.exit(run(['runs']))"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
