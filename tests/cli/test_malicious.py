"""Files from strangers: nothing runs, nothing hangs, nothing is filled; each is refused in words, by its exit code."""

from __future__ import annotations

import csv
import json
import os
import pickle
import sqlite3
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from lrtool.cli.app import run
from lrtool.errors import ExitCode, UsageError
from lrtool.printable import cell
from lrtool.reading import at_home, exists, read_file

BASE = """
name: {name}
seed: {seed}
model: {model}
data: {data}
optimizer: {{kind: sgd, lr: 0.1}}
schedule: {schedule}
train: {{duration: {duration}, eval_every: 0}}
"""
USUAL = {
    "name": "x",
    "seed": 0,
    "model": "{kind: mlp, hidden: [4]}",
    "duration": 5,
    "schedule": "constant",
    "data": "{kind: digits, batch_size: 64, val_fraction: 0.2}",
}
LONG = "a" * 300
#: Nine aliases of nine aliases of nine …
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{chr(ord(name) - 1)}'] * 9)}]\n" for name in "bcdefghij"
)


def written(folder: Path, **changed: object) -> str:
    path = folder / "c.yaml"
    path.write_text(BASE.format(**{**USUAL, **changed}))
    return str(path)


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> object:
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize(
    "text",
    [
        'extends: "a\\0.yaml"',
        f"extends: {LONG}.yaml",
        "extends: ~nouser/x.yaml",
        'name: "\\UFFFFFFFF"',
        "a: " + "[" * 2000,
        "{a: " * 3000 + "}" * 3000,
        "a: &a {b: *a}",
        "name: a\0b",
        "a: !!python/object/apply:os.system [id]",
        "\n".join(f"k{i}: 1" for i in range(20_000)),
        LAUGHS,
        "x: [" + "1," * 150_000 + "1]",
        "name: " + "x" * 3_000_000,
    ],
)
def test_texts_that_are_no_config_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    assert run(["check", str(path)]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert "bug" not in said and len(said) < 50_000


@pytest.mark.parametrize("path", ["config", "table", "resume"])
def test_pipes_and_devices_are_no_files(tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    given = {
        "config": ["check", str(pipe)],
        "table": ["check", written(tmp_path, schedule="{kind: table, file: /dev/zero}")],
        "resume": ["check", written(tmp_path, schedule=f"{{kind: table, file: {pipe}}}")],
    }[path]
    assert run(given) == ExitCode.USAGE
    assert "device, a pipe or a socket" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changed",
    [
        {"data": '{kind: csv, path: "a\\0b.csv", target: y, batch_size: 4}'},
        {"data": f"{{kind: csv, path: {LONG}.csv, target: y, batch_size: 4}}"},
        {"data": "{kind: csv, path: ~nouser/x.csv, target: y, batch_size: 4}"},
        {"data": "{kind: csv, path: t.csv, target: y, encoding: undefined, batch_size: 4}"},
        {"data": "{kind: text, path: t.csv, encoding: undefined, context: 4, batch_size: 4}"},
        {"data": "{kind: csv, path: /dev/zero, target: y, batch_size: 4}"},
        {"data": "{kind: image_folder, path: ., size: 1e16, batch_size: 4}"},
        {"seed": 2**130},
        {"duration": "1e400ep"},
        {"schedule": "{kind: cosine_restarts, cycle: 1, t_mult: 1e308}"},
        {"model": '{use: "os:system", args: {command: "touch pwned"}}'},
        {"model": '{use: "~nouser/m.py:Net"}'},
        {"model": '{use: "a\\0b.py:Net"}'},
        {"model": f"{{use: {LONG}.py:Net}}"},
    ],
)
def test_odd_values_are_the_users_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, object]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{i},{i}\n" for i in range(50)))
    assert run(["train", written(tmp_path, **changed), "--output", "out", "--quiet"]) == ExitCode.USAGE
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("kind", "key", "size"),
    [("regression", "outputs", 2**64), ("regression", "samples", 2**62), ("spirals", "samples", 10**30)],
)
def test_data_that_no_memory_holds_are_said_to_be_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, key: str, size: int
) -> None:
    config = written(tmp_path, data=f"{{kind: {kind}, {key}: {size}, batch_size: 4}}")
    assert run(["train", config, "--output", str(tmp_path / "out"), "--quiet"]) == ExitCode.TASK
    assert "memory would run out" in capsys.readouterr().err


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    target = tmp_path / "pwned"
    (tmp_path / "a.npy").write_bytes(pickle.dumps(Bomb(target)))
    np.save(tmp_path / "b.npy", np.array([Bomb(target)], dtype=object), allow_pickle=True)
    (tmp_path / "w.safetensors").write_bytes(pickle.dumps(Bomb(target)))
    for name in ("a.npy", "b.npy"):
        data = f"{{kind: numpy, path: {name}, target: {name}, batch_size: 4}}"
        assert run(["train", written(tmp_path, data=data), "--output", str(tmp_path / "out"), "--quiet"]) in (2, 4)
    config = written(tmp_path)
    begun = ["train", config, "--init-from", str(tmp_path / "w.safetensors"), "--output", str(tmp_path / "out")]
    assert run([*begun, "--quiet"]) in (2, 4)
    assert not target.exists()


def _database(folder: Path, *statements: str) -> Path:
    with sqlite3.connect(folder / "sweep.sqlite") as database:
        for statement in (*statements, "PRAGMA user_version = 1"):
            database.execute(statement)
    return folder / "sweep.sqlite"


def test_databases_with_views_and_triggers_are_refused(tmp_path: Path) -> None:
    from lrtool.runs.sweep.store import read_trials

    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    _database(tmp_path, f"CREATE VIEW trials AS {endless}")
    with pytest.raises(UsageError, match="it has a view"):
        read_trials(tmp_path)


def test_curves_that_inflate_without_end_are_damaged() -> None:
    from lrtool.runs.sweep.stored_trial import _inflated

    with pytest.raises(ValueError, match="too long"):
        _inflated(zlib.compress(bytes(50 * 2**20), 9))
    assert _inflated(zlib.compress(b"abc")) == b"abc"


@pytest.mark.parametrize(
    "summary", ["[]", "{}", '{"schema": 1}', "\x00", '{"schema": 1, "command": "tune", "schedules": 3}']
)
def test_a_malformed_summary_gives_no_lr(tmp_path: Path, summary: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "summary.json").write_text(summary)
    given = [
        "train",
        written(tmp_path),
        "--lr-from",
        str(tmp_path / "run"),
        "--output",
        str(tmp_path / "out"),
        "--quiet",
    ]
    assert run(given) == ExitCode.USAGE


def test_spreadsheets_get_no_formula() -> None:
    for text in ("=HYPERLINK(1)", "+1+1", "-cmd", "@SUM(1)", "\t=1"):
        assert cell(text) == f"'{text}"
    assert [cell(value) for value in ("cosine", "-1e-3", -2.0, None)] == ["cosine", "-1e-3", -2.0, None]


def test_names_in_tables_and_plots_do_nothing(tmp_path: Path) -> None:
    from xml.dom import minidom

    sweep = tmp_path / "s.yaml"
    base = written(tmp_path, name='"n\\e[31m字\\a"')
    sweep.write_text(
        f'base: {base}\nvariants: {{"=HYPERLINK(1)": {{optimizer.lr: 0.1}}, "b\\e[2J\\0": {{optimizer.lr: 0.2}}}}\n'
    )
    assert run(["sweep", str(sweep), "--output", str(tmp_path / "out"), "--quiet"]) == ExitCode.DONE
    (folder,) = (tmp_path / "out" / "s").glob("2*")
    rows = list(csv.reader((folder / "trials.csv").open()))
    assert not any(value.startswith("=") or "\x1b" in value for row in rows for value in row)
    assert run(["train", base, "--output", str(tmp_path / "out"), "--quiet"]) == ExitCode.DONE
    (plot,) = (tmp_path / "out").glob("n*/2*/curves.svg")
    minidom.parse(str(plot))


def test_json_is_all_that_stdout_gets(tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "m.py").write_text(
        "import ctypes, os, subprocess, torch\nprint('python')\nos.write(1, b'descriptor')\n"
        "class Net(torch.nn.Linear):\n    def __init__(self):\n        super().__init__(64, 10)\n"
        "        print('made'); ctypes.CDLL(None).puts(b'from C'); ctypes.CDLL(None).fflush(None)\n"
        "        subprocess.run(['echo', 'child'])\n"
        "    def forward(self, x):\n        return super().forward(x.flatten(1))\n"
    )
    config = written(tmp_path, model='{use: "m.py:Net"}')
    command = [sys.executable, "-m", "lrtool", "train", config, "--json", "--quiet", "--output", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "finished"


def test_a_file_is_read_no_further_than_it_may_be(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    assert read_file(path, 5) == b"12345"
    with pytest.raises(UsageError, match="at most"):
        read_file(path, 4)
    assert at_home("~nouser/x") == Path("~nouser/x") and not exists(Path("a\0b")) and not exists(Path(LONG))
