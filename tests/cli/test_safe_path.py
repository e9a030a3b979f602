"""Where modules come from: never from the working folder, whatever lies there."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lrtool.runs.sweep.store import read_trials

ROOT = Path(__file__).parents[2]
#: Modules that Python, multiprocessing or torch import at one time or another, and one that is in none of them.
NAMES = ("signal", "random", "token", "numpy", "torch", "runpy", "pickle", "socket", "triton", "sympy", "sitecustom")
PLANTED = "import pathlib\npathlib.Path({flag!r}).open('a').write(__name__ + ' ')\nraise RuntimeError('planted')\n"


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A folder full of modules that must not run; gives the file that each of them would write its name to."""
    flag = tmp_path / "ran.txt"
    folder = tmp_path / "anybodys"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text(PLANTED.format(flag=str(flag)))
    monkeypatch.chdir(folder)
    # As it is installed: found from anywhere, and not by way of the working folder.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    return flag


#: What pip installs as `lrtool`: Python puts the folder of the script first, not the one that the user is in.
SCRIPT = "import sys\nfrom lrtool.cli.app import main\nif __name__ == '__main__':\n    sys.exit(main())\n"
#: With `-m` Python itself, before lrtool has a say, imports runpy and what that needs from the working folder.
PYTHONS_OWN = ("runpy", "token", "random")


@pytest.fixture
def lrtool(tmp_path):
    """Runs a command line in a process of its own, started either way."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/lrtool").write_text(SCRIPT)

    def lrtool(form, *arguments):
        start = ["-m", "lrtool"] if form == "python -m" else [tmp_path / "bin/lrtool"]
        command = [str(word) for word in (sys.executable, *start, *arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)

    return lrtool


@pytest.mark.parametrize("form", ["lrtool", pytest.param("python -m", marks=pytest.mark.deep)])
def test_processes_of_a_sweep_import_nothing_from_the_working_folder(lrtool, planted, config, tmp_path, form):
    if form == "python -m":
        for name in PYTHONS_OWN:
            Path(f"{name}.py").unlink()
    config([("duration: 3ep", "duration: 4")])
    (tmp_path / "s.yaml").write_text("base: c.yaml\nseeds: 2\n")
    arguments = ["--executor", "local", "--workers", 2, "--output", tmp_path / "out", "--quiet"]
    done = lrtool(form, "sweep", tmp_path / "s.yaml", *arguments)
    assert done.returncode == 0 and not planted.exists(), done.stderr
    assert [trial.status for trial in read_trials(tmp_path / "out/s/latest")] == ["finished"] * 2


def test_whatever_a_command_starts_leaves_the_working_folder_out(lrtool, planted, config, tmp_path):
    model = f"""
        import json, subprocess, sys
        from torch import nn
        def net():
            child = [sys.executable, "-c", "import sys, json; print(json.dumps(sys.path))"]
            seen = json.loads(subprocess.run(child, capture_output=True, text=True).stdout)
            json.dump([sys.path, seen], open({str(tmp_path / "seen.json")!r}, "w"))
            return nn.Linear(2, 2)
    """
    path = config([("{kind: mlp, hidden: [16]}", "{use: 'm.py:net'}")], m__py=textwrap.dedent(model))
    for name in PYTHONS_OWN:
        Path(f"{name}.py").unlink()
    done = lrtool("python -m", "check", "--resolve", path)
    assert done.returncode == 0 and not planted.exists(), done.stderr
    own, childs = json.loads((tmp_path / "seen.json").read_text())
    assert {str(Path.cwd()), ""}.isdisjoint([*own, *childs])


def test_what_is_imported_first_comes_from_python(lrtool, planted):
    done = lrtool("lrtool", "schema")
    assert done.returncode == 0 and json.loads(done.stdout) and not planted.exists(), done.stderr


@pytest.mark.deep
def test_it_can_still_be_started_from_its_source_tree(lrtool, monkeypatch, config, tmp_path):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(ROOT)
    config([("duration: 3ep", "duration: 4")])
    (tmp_path / "s.yaml").write_text("base: c.yaml\nseeds: 2\n")
    done = lrtool("python -m", "sweep", tmp_path / "s.yaml", "--executor", "local", "--output", tmp_path / "out", "-q")
    assert done.returncode == 0, done.stderr


def test_modules_beside_a_config_stand_in_for_nobody_elses(lrtool, config, tmp_path, monkeypatch):
    """As planted in the working folder, beside the user's own code; its own helper is found."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    flag = tmp_path / "ran.txt"
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(PLANTED.format(flag=str(flag)))
    model = """
        import random, token, helper_beside
        import numpy, torch
        from torch import nn
        def net():
            import signal, sympy
            return nn.Linear(2, helper_beside.OUTPUTS)
    """
    path = config([("{kind: mlp, hidden: [16]}", "{use: 'm.py:net'}")], m__py=textwrap.dedent(model))
    (tmp_path / "helper_beside.py").write_text("OUTPUTS = 2\n")
    done = lrtool("lrtool", "check", "--resolve", path)
    assert done.returncode == 0 and not flag.exists(), done.stderr
    assert "random.py beside it" in done.stderr and "rename it" in done.stderr
