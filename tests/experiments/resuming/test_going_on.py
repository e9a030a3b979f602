"""A run that goes on notices what was changed behind its back, and mends what was damaged."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lrtool.api.results.train import TrainAnswer
from lrtool.config.load import load_config
from lrtool.engine.loop import checkpoint
from lrtool.errors import Interrupted, UsageError
from lrtool.experiments.setup import prepare
from lrtool.experiments.train import resume_training, run_training
from lrtool.runs.folder import RunFolder
from lrtool.runs.metrics import read_metrics
from tests.experiments.test_train import StopAt, bytes_without_seconds

pytestmark = pytest.mark.usefixtures("undrawn")

RELEASED = Path(__file__).parents[2] / "runs" / "released"
MODEL = """\
import torch
from layers import scaled

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)

    def forward(self, x):
        return scaled(self.layer(x))

def loss(output, target):
    return ((output - target) ** 2).mean()

def load():
    import numpy as np
    x = np.load(__file__.replace("mine.py", "x.npy"))
    return x, x.sum(1, keepdims=True)
"""
OWN = """\
name: own
model: {use: "mine.py:Net"}
data: {use: "mine.py:load", batch_size: 8}
loss: {use: "mine.py:loss"}
optimizer: {kind: sgd, lr: 0.02, momentum: 0.9}
train: {duration: 30, eval_every: 10, checkpoint_every: 10, clip_norm: 5.0}
"""


@pytest.fixture
def own(tmp_path, silent):
    """A run of a user's own code and data, stopped half-way; its folder, and that of the code."""
    (tmp_path / "mine.py").write_text(MODEL)
    (tmp_path / "layers.py").write_text("def scaled(x):\n    return 0.5 * x\n")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32))
    (tmp_path / "own.yaml").write_text(OWN)
    with pytest.raises(Interrupted):
        run_training(prepare(load_config(tmp_path / "own.yaml")), tmp_path, lambda *_: StopAt(15))
    return RunFolder.open(tmp_path / "own" / "latest"), tmp_path


def setup_of(folder, code):
    return prepare(load_config(folder.config, code_beside=False), [f"{code}/"])


def contents(folder):
    return {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file() and path.suffix != ".lock"}


def edited(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("key", "old", "new"),
    [
        ("optimizer.lr", "lr: 0.02", "lr: 0.03"),
        ("schedule.warmup", "warmup: 0,", "warmup: 3,"),
        ("train.clip_norm", "clip_norm: 5.0", "clip_norm: 1.0"),
        ("train.eval_every", "eval_every: 10", "eval_every: 5"),
        ("data.split_seed", "split_seed: 0", "split_seed: 1"),
        ("optimizer.nesterov", "nesterov: false", "nesterov: true"),
        ("train.duration", "duration: 30", "duration: 40"),
    ],
)
def test_an_edited_config_is_refused_by_its_key_unless_forced(own, silent, key, old, new):
    folder, code = own
    edited(folder.config, old, new)
    before = contents(folder)
    with pytest.raises(UsageError, match=rf"changed since the run was made: {key} \(.*--force"):
        resume_training(setup_of(folder, code), folder, silent)
    assert contents(folder) == before
    run = resume_training(setup_of(folder, code), folder, silent, force=True)
    assert run.session.status == "finished" and any("gone on with --force" in note for note in run.notes)


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("mine.py", "self.layer(x)", "2 * self.layer(x)", "the code in mine.py"),
        ("mine.py", "** 2", "** 4", "the code in mine.py"),
        ("layers.py", "0.5", "0.25", "the code in layers.py"),
    ],
)
def test_edited_code_is_refused(own, silent, name, old, new, said):
    folder, code = own
    edited(code / name, old, new)
    before = contents(folder)
    with pytest.raises(UsageError, match=said):
        resume_training(setup_of(folder, code), folder, silent)
    assert contents(folder) == before


@pytest.mark.parametrize("change", [lambda x: x[::-1].copy(), lambda x: np.where(x == x[7, 1], 9.0, x).astype("f4")])
def test_other_data_or_another_order_are_refused(own, silent, change):
    folder, code = own
    np.save(code / "x.npy", change(np.load(code / "x.npy")))
    with pytest.raises(UsageError, match="the training data"):
        resume_training(setup_of(folder, code), folder, silent)


def test_what_is_asked_for_by_the_command_line_stands_in_the_config_afterwards(own, silent):
    folder, code = own
    longer = prepare(load_config(folder.config, ["train.duration=40"], code_beside=False), [f"{code}/"])
    with pytest.raises(Interrupted):
        resume_training(longer, folder, lambda *_: StopAt(20))
    # Killed before its next checkpoint it would find the same.
    assert resume_training(setup_of(folder, code), folder, silent).session.steps == 40


def test_a_damaged_checkpoint_is_named_and_the_one_before_used(configured, silent, tmp_path):
    whole = run_training(configured(), tmp_path / "whole", silent).session.folder.path
    with pytest.raises(Interrupted):
        run_training(configured(), tmp_path / "cut", lambda *_: StopAt(24))
    folder = RunFolder.open(tmp_path / "cut" / "small")
    newest = sorted(folder.checkpoints.glob("step-*.safetensors"))[-1]
    newest.write_bytes(newest.read_bytes()[:-1] + b"x")
    run = resume_training(prepare(load_config(folder.config)), folder, silent)
    assert newest.stem in run.notes[0] and "damaged" in run.notes[0] and "is used instead" in run.notes[1]
    assert bytes_without_seconds(folder.path) == bytes_without_seconds(whole)


def test_metrics_that_were_cut_are_mended_and_it_is_said(configured, silent, tmp_path):
    whole = run_training(configured(), tmp_path / "whole", silent).session.folder.path
    with pytest.raises(Interrupted):
        run_training(configured(), tmp_path / "cut", lambda *_: StopAt(24))
    folder = RunFolder.open(tmp_path / "cut" / "small")
    metrics = folder.path / "metrics.csv"
    lines = metrics.read_text().splitlines(keepends=True)
    metrics.write_text("".join(lines[:5] + lines[9:]))
    run = resume_training(prepare(load_config(folder.config)), folder, silent)
    assert "metrics.csv was damaged: its line 6 was missing or changed" in run.notes[0]
    assert bytes_without_seconds(folder.path) == bytes_without_seconds(whole)


@pytest.mark.parametrize("released", sorted(path.name for path in RELEASED.iterdir()))
def test_runs_of_released_versions_go_on(silent, tmp_path, monkeypatch, released):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)  # what is kept was trained on a CPU
    shutil.copytree(RELEASED / released / "train", tmp_path / "old" / "run")
    folder = RunFolder.open(tmp_path / "old" / "run")
    setup = prepare(load_config(folder.config))
    run = resume_training(setup, folder, silent)
    whole = run_training(setup, tmp_path / "new", silent).session
    assert bytes_without_seconds(folder.path) == bytes_without_seconds(whole.folder.path)
    assert run.session.summary()["final"] == whole.summary()["final"]
    assert len(read_metrics(folder.path / "metrics.csv")["step"]) == 40


def test_with_force_the_edited_optimizer_wins_and_keeps_its_place_on_the_curve(own, silent):
    folder, code = own
    before = checkpoint.load(folder.checkpoints)
    assert before.details["optimizer"]["groups"][0]["nesterov"] is False
    edited(folder.config, "nesterov: false", "nesterov: true")
    with pytest.raises(UsageError, match=r"optimizer\.nesterov \(False → True\)"):
        resume_training(setup_of(folder, code), folder, silent)
    resume_training(setup_of(folder, code), folder, silent, force=True)
    after = checkpoint.load(folder.checkpoints)
    assert after.details["optimizer"]["groups"][0]["nesterov"] is True
    assert after.step == 30
    np.testing.assert_allclose(read_metrics(folder.path / "metrics.csv")["lr"], 0.02)


def test_a_run_with_one_norm_of_the_gradient_goes_on_with_two(own, silent):
    folder, code = own
    edited(folder.config, "grad_norm: false", "grad_norm: true")
    found = checkpoint.load(folder.checkpoints)
    # As lrtool wrote it when it recorded but one of them.
    details = {key: value for key, value in found.details.items() if key != "made_with"}
    details["trial"] = {**details["trial"], "columns": sorted([*details["trial"]["columns"], "grad_norm"])}
    trace = {**found.trace, "grad_norm": np.arange(found.step, dtype=float)}
    for old in folder.checkpoints.glob("*"):
        old.unlink()
    checkpoint.save(folder.checkpoints, replace(found, details=details, trace=trace))
    resume_training(setup_of(folder, code), folder, silent)
    metrics = read_metrics(folder.path / "metrics.csv")
    assert np.isnan(metrics["grad_norm_l1"][: found.step]).all()
    assert np.isfinite(metrics["grad_norm_l1"][found.step :]).all()
    assert np.isfinite(metrics["grad_norm"]).all()


def test_damaged_best_weights_are_not_begun_with(own, silent):
    folder, code = own
    answer = TrainAnswer(resume_training(setup_of(folder, code), folder, silent).session.folder.path)
    best = folder.checkpoints / "best.safetensors"
    assert answer.best_weights()
    data = bytearray(best.read_bytes())
    data[-1] ^= 1
    best.write_bytes(bytes(data))
    for path in (folder.path, best):
        config = load_config(folder.config, [f"init.path={path}"], code_beside=False)
        with pytest.raises(UsageError, match="damaged, or changed since the run wrote it"):
            prepare(config, [f"{code}/"])
    with pytest.raises(UsageError, match="damaged, or changed since the run wrote it"):
        answer.best_weights()
    newest = sorted(folder.checkpoints.glob("step-*.safetensors"))[-1]
    data = bytearray(newest.read_bytes())
    data[-1] ^= 1
    newest.write_bytes(bytes(data))
    with pytest.raises(UsageError, match="the checkpoint is damaged"):
        prepare(load_config(folder.config, [f"init.path={newest}"], code_beside=False), [f"{code}/"])


def test_another_table_of_lrs_is_refused_and_another_schedule_that_is_asked_for_is_not(configured, silent, tmp_path):
    table = tmp_path / "lrs.csv"
    table.write_text("step,factor\n" + "".join(f"{step},{1 - step / 60}\n" for step in range(50)))
    setup = configured(schedule={"kind": "table", "file": str(table)})
    with pytest.raises(Interrupted):
        run_training(setup, tmp_path / "cut", lambda *_: StopAt(24))
    folder = RunFolder.open(tmp_path / "cut" / "small")
    table.write_text("step,factor\n" + "".join(f"{step},{1 - step / 60 if step < 40 else 0.1}\n" for step in range(50)))
    before = contents(folder)
    with pytest.raises(UsageError, match=r"changed since the run was made: what stands in lrs\.csv"):
        resume_training(prepare(load_config(folder.config)), folder, silent)
    assert contents(folder) == before
    asked = prepare(load_config(folder.config, ["schedule=constant"]))
    assert resume_training(asked, folder, silent).session.status == "finished"
