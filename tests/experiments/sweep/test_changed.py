"""A sweep that goes on notices that its config, its code or its data are not what they were."""

import json

import numpy as np
import pytest

from lrtool.config.sweep.load import load_sweep
from lrtool.errors import UsageError
from lrtool.experiments.resuming.file_digests import file_digests
from lrtool.experiments.sweep.options import Options
from lrtool.experiments.sweep.sweep import resume_sweep, run_sweep
from lrtool.report.terminal.board import SweepBoard
from lrtool.runs.folder import RunFolder

CODE = """\
import numpy as np, pathlib, torch
from layers import scaled
Net = lambda: torch.nn.Linear(3, 1)
def loss(output, target):
    return scaled(((output - target) ** 2).mean())
def load():
    x = np.load(pathlib.Path(__file__).with_name("x.npy"))
    return x, x.sum(1, keepdims=True)
"""
BASE = """\
name: own
model: {use: "mine.py:Net"}
data: {use: "mine.py:load", batch_size: 8}
loss: {use: "mine.py:loss"}
optimizer: {kind: sgd, lr: 0.02}
train: {duration: 4}
"""
TABLE = """\
model: {kind: mlp, hidden: [4]}
data: {kind: csv, path: table.csv, target: y, batch_size: 8}
optimizer: {kind: sgd, lr: 0.02}
train: {duration: 4}
"""
SWEEP = "base: base.yaml\ngrid: {optimizer.lr: [0.01, 0.02]}\n"


@pytest.fixture
def made(tmp_path, silent):
    """A sweep that was carried out; its folder, and how it goes on."""

    def made(base=BASE):
        (tmp_path / "mine.py").write_text(CODE)
        (tmp_path / "layers.py").write_text("def scaled(x):\n    return 0.5 * x\n")
        x = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
        np.save(tmp_path / "x.npy", x)
        rows = "".join(f"{a:.3f},{b:.3f},{c:.3f}\n" for a, b, c in x)
        (tmp_path / "table.csv").write_text("a,b,y\n" + rows)
        (tmp_path / "base.yaml").write_text(base)
        (tmp_path / "s.yaml").write_text(SWEEP)
        options = Options(allow_import=frozenset({f"{tmp_path}/"}))
        run_sweep(load_sweep(tmp_path / "s.yaml"), tmp_path / "out", options, SweepBoard("s"), silent)
        folder = RunFolder.open(tmp_path / "out" / "s" / "latest")
        return folder, lambda force=False: resume_sweep(folder, options, SweepBoard("s"), silent, 100, force)

    return made


def contents(folder):
    return {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file() and path.suffix != ".lock"}


def notes(folder):
    return json.loads((folder.path / "summary.json").read_text())["notes"]


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_what_was_not_changed_goes_on(made):
    folder, resume = made()
    resume()
    assert notes(folder) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        ("layers.py", "0.5 * x", "0.25 * x", "the code in layers.py"),
        ("mine.py", "** 2", "** 4", "the code in mine.py"),
    ],
)
def test_changed_code_is_refused_by_name(made, tmp_path, file, old, new, named):
    folder, resume = made()
    before = contents(folder)
    edit(tmp_path / file, old, new)
    with pytest.raises(UsageError, match=f"changed since the run was made: {named}"):
        resume()
    assert contents(folder) == before
    resume(force=True)
    assert notes(folder) == [f"gone on with --force though changed: {named}"]
    resume()
    assert notes(folder) == [f"gone on with --force though changed: {named}"]


def test_changed_data_of_own_code_are_refused(made, tmp_path):
    _, resume = made()
    np.save(tmp_path / "x.npy", np.load(tmp_path / "x.npy")[::-1])
    with pytest.raises(UsageError, match="changed since the run was made: the training data"):
        resume()


def test_a_changed_file_of_data_is_refused(made, tmp_path):
    folder, resume = made(TABLE)
    before = contents(folder)
    with (tmp_path / "table.csv").open("a") as stream:
        stream.write("1,2,3\n")
    with pytest.raises(UsageError, match=r"changed since the run was made: the data in table\.csv"):
        resume()
    assert contents(folder) == before
    resume(force=True)


def test_a_changed_config_is_refused_by_its_key_and_all_trained_again_where_forced(made):
    folder, resume = made()
    before = contents(folder)
    edit(folder.config, "duration: 4", "duration: 6")
    before[folder.config] = folder.config.read_bytes()
    with pytest.raises(UsageError, match=r"its config: base\.train\.duration \(4 → 6\)"):
        resume()
    assert contents(folder) == before
    run = resume(force=True)
    assert run.summary()["steps"] == 12
    assert "changed, so everything is trained again: its config: base.train.duration (4 → 6)" in notes(folder)


def test_of_two_files_of_one_name_either_counts(tmp_path):
    for place in "ab":
        (tmp_path / place).mkdir()
        (tmp_path / place / "t.csv").write_text(place)
    before = file_digests(tmp_path, ["a/t.csv", "b/t.csv"])
    assert before.keys() == {"t.csv"}
    for place in "ab":
        (tmp_path / place / "t.csv").write_text("another")
        assert file_digests(tmp_path, ["a/t.csv", "b/t.csv"]) != before
        (tmp_path / place / "t.csv").write_text(place)
    (tmp_path / "a/t.csv").write_text("b")
    (tmp_path / "b/t.csv").write_text("a")
    assert file_digests(tmp_path, ["a/t.csv", "b/t.csv"]) != before
