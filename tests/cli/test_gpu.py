"""Every command on a CUDA device: the CPU's numbers, the same bits again, resumed as if never stopped, in words."""

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import lrtool
from tests.live.digests import digest, trained

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
]

DEVICE = "cuda"
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
SHIPPED = [*sorted((ROOT / "configs").glob("*.yaml")), *sorted((ROOT / "configs" / "own-code").glob("*.yaml"))]
LONG = [("train: {duration: 3ep}", "train: {duration: 4000, eval_every: 400, checkpoint_every: 100}")]


def only(folder, name):
    """The one file of that name below a folder, though `latest` leads to it as well."""
    (path,) = {each.resolve() for each in Path(folder).rglob(name)}
    return path


def rows(folder):
    """What metrics.csv holds, less the clock's column."""
    with only(folder, "metrics.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def losses(folder):
    return np.array([float(row["train_loss"]) for row in rows(folder) if row["train_loss"]])


def environment(folder):
    return json.loads(only(folder, "environment.json").read_text())


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_config_trains_as_on_the_cpu(cli, tmp_path, path):
    told = []
    for device in ("cpu", DEVICE):
        output = tmp_path / str(len(told))
        code, _, err = cli(
            "train", path, "--quiet", "--output", output, "--set", f"device={device}",
            "--set", "train.duration=2ep", "--set", "schedule=constant",
        )  # fmt: skip
        assert code == 0, err
        told.append(losses(output))
    assert told[0] == pytest.approx(told[1], rel=0.02)
    assert environment(output)["device"].startswith(DEVICE)


@pytest.mark.parametrize("engine", ["auto", "loop", "vector"])
@pytest.mark.parametrize("command", ["range-test", "tune"])
def test_the_lr_found_is_the_cpu_s(cli, tmp_path, config, command, engine):
    found = []
    path = config([("train: {duration: 3ep}", "train: {duration: 20ep}")])
    for device in ("cpu", DEVICE):
        arguments = ("--engine", engine, "--set", f"device={device}", "--output", tmp_path / device)
        code, out, err = cli(command, path, "--json", *arguments)
        assert code == 0, err
        found.append(json.loads(out))
    assert found[0]["suggested_lr"] / found[1]["suggested_lr"] == pytest.approx(1, abs=0.5)
    assert max(each["interval"][0] for each in found) <= min(each["interval"][1] for each in found)


def test_a_search_repeats(cli, tmp_path, config):
    answers = []
    path = config([("train: {duration: 3ep}", "train: {duration: 20ep}")])
    for name in ("first", "again"):
        arguments = ("--engine", "vector", "--set", f"device={DEVICE}", "--output", tmp_path / name)
        code, out, err = cli("range-test", path, "--json", *arguments)
        assert code == 0, err
        answers.append(json.loads(out)["suggested_lr"])
    assert answers[0] is not None and answers[0] == answers[1]


def test_a_killed_training_goes_on_bit_for_bit(cli, tmp_path, config):
    path = config(LONG)
    code, _, err = cli("train", path, "--quiet", "--output", tmp_path / "whole", "--set", f"device={DEVICE}")
    assert code == 0, err
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "lrtool", "train", str(path), "--output", str(killed), "--set", f"device={DEVICE}"]
    process = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=-3)
    while not list(killed.rglob("checkpoints/*.safetensors")) and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.3)
    process.kill()
    assert process.wait() == -9
    code, _, err = cli("train", "--resume", only(killed, "metrics.csv").parent)
    assert code == 0, err
    assert rows(killed) == rows(tmp_path / "whole")


@pytest.mark.parametrize("settings", ["grid", "halving"])
@pytest.mark.parametrize("executor", ["in-process", "local"])
def test_a_sweep_trains_every_trial(cli, tmp_path, config, settings, executor):
    config()
    prune = "prune: {kind: halving}\n" if settings == "halving" else ""
    (tmp_path / "s.yaml").write_text(
        f"base: {{extends: c.yaml, device: {DEVICE}}}\nseeds: 2\n{prune}grid:\n  optimizer.lr: [0.03, 0.1, 0.3, 1]\n"
    )
    code, _, err = cli("sweep", tmp_path / "s.yaml", "--executor", executor, "--output", tmp_path / "out")
    assert code == 0, err
    with only(tmp_path / "out", "trials.csv").open(newline="") as file:
        assert {row["status"] for row in csv.DictReader(file)} <= {"finished", "pruned"}


def test_transfer_and_theory_measure_there(cli, tmp_path, config):
    code, out, err = cli(
        "transfer", config(), "--to", "train.duration=20ep", "--json", "--set", f"device={DEVICE}", "--output", tmp_path
    )
    assert code in (0, 6), err
    assert "suggested_lr" in json.loads(out)


def test_workers_feed_the_device(cli, tmp_path, config):
    path = config(
        [("data: {kind: spirals, samples: 240, batch_size: 24}", 'data: {use: "d.py:load", args: {workers: 2}}')],
        d__py="import torch\n\nclass Rows(torch.utils.data.Dataset):\n    classes = [0, 1]\n\n"
        "    def __len__(self):\n        return 240\n\n"
        "    def __getitem__(self, i):\n        return torch.full((2,), i / 240), int(i > 120)\n\n\n"
        "def load(workers):\n    return torch.utils.data.DataLoader(Rows(), 24, shuffle=True, num_workers=workers)\n",
    )
    code, _, err = cli("train", path, "--quiet", "--output", tmp_path / "o", "--set", f"device={DEVICE}")
    assert code == 0, err
    assert losses(tmp_path / "o")[-5:].mean() < 0.6


def test_a_rank_on_its_gpu_trains_as_one_process(tmp_path, config):
    path = config([("train: {duration: 3ep}", "train: {duration: 40}")])
    ranked = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1", "-m", "lrtool"]
    found = []
    for launch in (ranked, [sys.executable, "-m", "lrtool"]):
        output = tmp_path / str(len(found))
        told = [*launch, "train", str(path), "--output", str(output), "--set", f"device={DEVICE}"]
        done = subprocess.run(told, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found.append(losses(output))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_a_batch_for_which_there_is_no_memory_is_said(cli, tmp_path, config):
    path = config(
        [("model: {kind: mlp, hidden: [16]}", 'model: {use: "m.py:Net"}')],
        m__py="import torch\n\n\nclass Net(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.layer = torch.nn.Linear(2, 3)\n\n    def forward(self, x):\n"
        "        kept = torch.empty(2**42, device=x.device)\n        return self.layer(x) + kept[0]\n",
    )
    code, _, err = cli("train", path, "--output", tmp_path / "o", "--set", f"device={DEVICE}")
    assert code == 4 and "memory" in err


@pytest.mark.parametrize("cls", [torch.optim.SGD, torch.optim.AdamW])
@pytest.mark.parametrize("options", [{}, {"fused": True}, {"foreach": True}])
def test_live_objects_on_the_device_are_left_as_they_were(cls, options):
    model, _, _, loader = trained(cls)
    model.to(DEVICE)
    optimizer = cls(model.parameters(), lr=0.01, **options)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3)
    batches = [(x.to(DEVICE), y.to(DEVICE)) for x, y in loader]
    for x, y in batches[:2]:
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        scheduler.step()
    before = digest(model, optimizer, [scheduler], loader), torch.cuda.get_rng_state().tolist()
    answer = lrtool.range_test(model, loader, optimizer=optimizer, loss=torch.nn.CrossEntropyLoss(), progress=False)
    assert (digest(model, optimizer, [scheduler], loader), torch.cuda.get_rng_state().tolist()) == before
    assert answer.suggested_lr is None or answer.suggested_lr > 0
