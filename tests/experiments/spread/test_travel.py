"""Which files a config names, and the same config where they are somewhere else."""

import os
from pathlib import Path

import pytest

from lrtool.config.load import load_config
from lrtool.config.sweep.load import load_sweep
from lrtool.experiments.spread.travel import elsewhere, moved_folder, named_files, packages_named

CONFIG = """
model: {use: "parts/net.py:Net", args: {path: own.csv, use: "own.py:f"}}
data: {kind: csv, path: points.csv, target: y}
loss: {use: "loss.py:mine"}
init: {path: weights.safetensors}
optimizer: {kind: sgd, lr: 0.1}
logging: [{kind: mlflow, uri: runs}]
"""


@pytest.fixture
def config(tmp_path):
    (tmp_path / "c.yaml").write_text(CONFIG)
    return load_config(tmp_path / "c.yaml")


def test_files_of_code_and_of_data(config, tmp_path):
    code, data = named_files(config)
    assert code == [str(tmp_path / "parts/net.py"), str(tmp_path / "loss.py")]
    assert data == [str(tmp_path / "weights.safetensors"), str(tmp_path / "points.csv")]
    assert packages_named(config) == ()


def test_files_that_a_sweep_varies(config, tmp_path):
    (tmp_path / "s.yaml").write_text(
        "base: c.yaml\ngrid: {model.use: ['a.py:A', 'b.py:B', 'torchvision.models:resnet18'], data.path: [x.csv]}\n"
        "variants: {other: {loss: {use: 'c.py:f'}}, none: {}}\n"
    )
    sweep = load_sweep(tmp_path / "s.yaml").config
    code, data = named_files(sweep)
    assert {Path(name).name for name in code} == {"net.py", "loss.py", "a.py", "b.py", "c.py"}
    assert {Path(name).name for name in data} == {"weights.safetensors", "points.csv", "x.csv"}
    assert packages_named(sweep) == ("torchvision",)


def test_the_same_config_elsewhere(config, tmp_path):
    places = {
        str(tmp_path): "/there/0",
        str(tmp_path / "parts/net.py"): "/there/0/parts/net.py",
        str(tmp_path / "points.csv"): "/there/1/points.csv",
    }
    moved = elsewhere(config.with_lr(0.3, "elsewhere"), places)
    assert (moved.model.use, moved.data.path) == ("/there/0/parts/net.py:Net", "/there/1/points.csv")
    assert moved.loss.use == f"{tmp_path / 'loss.py'}:mine" and moved.model.args == config.model.args
    assert (moved.folder, moved.code_beside) == (Path("/there/0"), True)
    assert (moved.optimizer.lr, moved.lr_source) == (0.3, "elsewhere")
    assert moved.hash() == config.with_lr(0.3).hash()
    assert elsewhere(config, {}) == config and elsewhere(config, {}).folder == config.folder


def test_a_folder_whose_code_may_run_moves_too():
    places = {os.path.join(os.sep, "mine"): "/there/0"}  # noqa: PTH118
    assert moved_folder("/mine/", places) == "/there/0/"
    assert moved_folder("/yours/", places) == "/yours/"
    assert moved_folder("torchvision", places) == "torchvision"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("gpus: 1.5", "more than one GPU comes in whole ones"),
        ("gpus: -1", "0"),
        ("cpus: 0", "0"),
        ("slurm: {cpus_per_task: 3}", "write cluster.cpus instead"),
        ("gpu: 1", "did you mean 'gpus'"),
    ],
)
def test_what_a_cluster_cannot_be_asked_for(tmp_path, written, said):
    (tmp_path / "c.yaml").write_text(CONFIG + f"cluster: {{{written}}}\n")
    with pytest.raises(Exception, match=said):
        load_config(tmp_path / "c.yaml")


def test_what_trials_need_on_a_cluster_changes_nothing_that_is_computed(tmp_path, config):
    (tmp_path / "c.yaml").write_text(CONFIG + "cluster: {cpus: 4, gpus: 0.25}\n")
    other = load_config(tmp_path / "c.yaml")
    assert other.hash() == config.hash() and other.cluster.gpus_on("cpu") == 0.25
    assert config.cluster.gpus_on("cuda:1") == 1.0 and config.cluster.gpus_on("auto") == 0.0
