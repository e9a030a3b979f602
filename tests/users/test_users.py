"""Models as people have them, unmodified: each is range-tested, trained, killed, gone on with, and tuned.

What goes on after two SIGKILLs must be byte for byte what was never killed. Run by `make test-users`; what a case needs
besides lrtool is in the extra `users`, and a case is skipped where that is not installed.
"""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.users, pytest.mark.deep]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
#: Seconds that any one command may take.
LIMIT = 240
SETTINGS = """\
name: {name}
device: cpu
train: {{duration: 24, eval_every: 8, checkpoint_every: 5}}
range_test: {{start: 1e-5, end: 1, steps: 30, seeds: 1, probe_steps: 0}}
"""
CASES = {
    "gpt2": """
        model: {use: "gpt2.py:model"}
        data: {use: "gpt2.py:Characters", args: {file: text.txt}, batch_size: 8}
        optimizer: {kind: adamw, lr: 0.003}
        schedule: {kind: cosine, warmup: 10%}
    """,
    "resnet-workers": """
        model: {use: "resnet.py:ResNet"}
        data: {use: "resnet.py:load"}
        optimizer: {kind: sgd, lr: 0.05, momentum: 0.9, weight_decay: 1e-4}
    """,
    "resnet": """
        model: {use: "resnet.py:ResNet"}
        data: {use: "resnet.py:load", args: {workers: 0}}
        optimizer: {kind: sgd, lr: 0.05, momentum: 0.9, weight_decay: 1e-4}
    """,
    "torchvision-resnet": """
        model: {use: "torchvision_resnet.py:model"}
        data: {use: "torchvision_resnet.py:load"}
        optimizer: {kind: sgd, lr: 0.05, momentum: 0.9}
    """,
    "csv": """
        model: {use: "table.py:Regressor"}
        data: {kind: csv, path: table.csv, target: price, missing: mean, batch_size: 16}
        optimizer: {kind: adam, lr: 0.01}
    """,
    "two-inputs-batch-norm": """
        model: {use: "two_inputs.py:Two"}
        data: {use: "two_inputs.py:load", batch_size: 16}
        optimizer: {kind: adamw, lr: 0.003}
    """,
    "lstm": """
        model: {use: "lstm.py:Rises"}
        data: {use: "lstm.py:load"}
        optimizer: {kind: adam, lr: 0.01}
        train.clip_norm: 1.0
    """,
    "own-loss-metric-optimizer": """
        model: {use: "own_parts.py:Net"}
        data: {use: "own_parts.py:load", batch_size: 16}
        loss: {use: "own_parts.py:Quantile", args: {q: 0.8}}
        metrics: [{use: "own_parts.py:within", name: within}]
        optimizer: {use: "own_parts.py:Lion", lr: 0.003}
    """,
    "lora": """
        model: {use: "lora.py:model"}
        data: {use: "lora.py:load", batch_size: 16}
        optimizer: {kind: adamw, lr: 0.01}
    """,
    "endless-stream": """
        model: {use: "stream.py:Net"}
        data: {use: "stream.py:endless", samples: 200}
        optimizer: {kind: sgd, lr: 0.01, momentum: 0.9}
    """,
    "stateful-loader": """
        model: {use: "stream.py:Net"}
        data: {use: "stream.py:placed"}
        optimizer: {kind: sgd, lr: 0.01, momentum: 0.9}
    """,
    "stateful-loader-workers": """
        model: {use: "stream.py:Net"}
        data: {use: "stream.py:placed", args: {workers: 2}}
        optimizer: {kind: sgd, lr: 0.01, momentum: 0.9}
    """,
}
NEEDS = {
    "gpt2": ["transformers"],
    "resnet": ["PIL"],
    "resnet-workers": ["PIL"],
    "torchvision-resnet": ["torchvision"],
    "stateful-loader": ["torchdata.stateful_dataloader"],
    "stateful-loader-workers": ["torchdata.stateful_dataloader"],
}
#: A command line that ends by SIGKILL once so many updates are in its metrics.
KILLED = """
import os, signal, sys
from lrtool.cli.app import run
from lrtool.experiments.recording import MetricsRecorder

recorded = MetricsRecorder.recorded

def killing(self, trial, trace, start):
    recorded(self, trial, trace, start)
    if trace.steps >= int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

MetricsRecorder.recorded = killing
sys.exit(run(sys.argv[2:]))
"""


@pytest.fixture
def lrtool(tmp_path):
    """Runs a command in a process of its own, in a folder with the users' files; gives what it printed."""
    for file in (HERE / "models").iterdir():
        if file.suffix == ".py":
            shutil.copy(file, tmp_path)
    (tmp_path / "text.txt").write_text("the rate at which it learns is what it learns by; " * 60)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}

    def lrtool(*arguments, killed_at=None):
        start = ["-m", "lrtool"] if killed_at is None else ["-c", KILLED, str(killed_at)]
        command = [sys.executable, *start, *map(str, arguments)]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
        )
        assert "Traceback" not in done.stderr and "a bug in lrtool" not in done.stderr, done.stderr
        assert done.returncode == (0 if killed_at is None else -signal.SIGKILL), (done.returncode, done.stderr)
        return done.stdout

    return lrtool


def _images(folder):
    from PIL import Image

    draw = np.random.default_rng(0)
    for kind, low in (("dark", 0), ("light", 90)):
        (folder / "images" / kind).mkdir(parents=True)
        for number in range(24):
            pixels = draw.integers(low, low + 160, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "images" / kind / f"{number}.png")


def _table(folder):
    draw = np.random.default_rng(1)
    rows = ["rooms,size,street,age,price"]
    for rooms, size, street, age in zip(
        draw.integers(1, 6, 120), draw.normal(80, 20, 120), draw.choice(["a", "b"], 120), draw.normal(30, 9, 120),
        strict=True,
    ):  # fmt: skip
        cells = [str(rooms), f"{size:.1f}", street, f"{age:.1f}"]
        if draw.random() < 0.3:
            cells[draw.choice([1, 3])] = ""
        rows.append(",".join([*cells, f"{3 * size + 10 * rooms - age:.2f}"]))
    (folder / "table.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture(params=list(CASES))
def case(request, tmp_path):
    """The config of a case, with its files beside it."""
    for package in NEEDS.get(request.param, ()):
        pytest.importorskip(package)
    if "resnet" in request.param:
        _images(tmp_path)
    if request.param == "csv":
        _table(tmp_path)
    text = textwrap.dedent(CASES[request.param])
    settings = SETTINGS.format(name=request.param)
    if "train.clip_norm" in text:
        text, settings = (
            text.replace("train.clip_norm: 1.0\n", ""),
            settings.replace("{duration", "{clip_norm: 1.0, duration"),
        )
    path = tmp_path / "c.yaml"
    path.write_text(settings + text)
    return path


def result(folder):
    """What a training computed, byte for byte."""
    checkpoints = folder / "checkpoints"
    newest = sorted(checkpoints.glob("step-*.safetensors"))[-1].read_bytes()
    rows = [line.rpartition(",")[0] for line in (folder / "metrics.csv").read_text().splitlines()]
    return newest, (checkpoints / "best.safetensors").read_bytes(), rows


def test_range_test(case, lrtool):
    document = json.loads(lrtool("range-test", case, "--json"))
    assert document["status"] == "finished"
    assert document["suggested_lr"] is not None or document["reason"]


def test_killed_twice_it_goes_on_as_if_it_had_not_been(case, lrtool, tmp_path):
    whole = json.loads(lrtool("train", case, "--json", "-o", "whole"))
    assert whole["status"] == "finished" and math.isfinite(whole["final"]["train_loss"])
    lrtool("train", case, "-q", "-o", "cut", killed_at=7)
    (run,) = (tmp_path / "cut").glob("*/*-train")
    lrtool("train", "--resume", run, "-q", killed_at=16)
    assert json.loads(lrtool("train", "--resume", run, "--json"))["status"] == "finished"
    assert result(run) == result(tmp_path / whole["folder"])


def test_tune(case, lrtool):
    document = json.loads(lrtool("tune", case, "--budget", "12x", "--json"))
    assert document["status"] == "finished"
    assert document["suggested_lr"] is not None or document["reason"]
