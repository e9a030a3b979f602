"""Run folders that somebody else made: nothing of them runs, and nothing outside them is changed."""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lrtool.cli.app import run
from lrtool.runs.sweep.facts import fact_row

TOOL = """
import os
from torch import nn
def shell(command="touch ran", **_):
    os.system(command)
    return nn.Linear(2, 2)
"""
BODY = "data: {kind: spirals, samples: 240, batch_size: 24}\noptimizer: {kind: sgd, lr: 0.1}\ntrain: {duration: 4}\n"


def files(folder):
    """Everything in a folder, as it is."""
    return {
        str(path.relative_to(folder)): path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def stranger(tmp_path):
    """Makes a run folder, of a training or of a sweep, whose model is some target; `.venv` below here has a package."""
    package = tmp_path / ".venv/lib/python3/site-packages/pkg"
    package.mkdir(parents=True)
    (package / "tool.py").write_text(TOOL)

    def stranger(command, use, args="{command: touch ran}"):
        folder = tmp_path / "stranger"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "checkpoints").mkdir(parents=True)
        model = f"model: {{use: '{use.format(here=tmp_path)}', args: {args}}}\n"
        text = model + BODY
        if command == "sweep":
            text = "base:\n" + "".join(f"  {line}\n" for line in text.splitlines()) + "seeds: 2\n"
        (folder / "config.yaml").write_text(text)
        return folder

    return stranger


FORMS = {
    "a package below the working folder, by its whole path": "{here}/.venv/lib/python3/site-packages/pkg/tool.py:shell",
    "the same from the run folder": "../.venv/lib/python3/site-packages/pkg/tool.py:shell",
    "a file in the run folder": "tool.py:shell",
    "a file in its checkpoints": "checkpoints/tool.py:shell",
    "an installed package": "os:system",
    "a file without an ending": "../.venv/lib/python3/site-packages/pkg/tool:shell",
}


@pytest.mark.parametrize("command", ["train", "sweep"])
@pytest.mark.parametrize("form", FORMS)
def test_a_strangers_run_folder_runs_no_code(cli, stranger, tmp_path, command, form):
    folder = stranger(command, FORMS[form])
    for place in (folder, folder / "checkpoints"):
        (place / "tool.py").write_text(TOOL)
    before = files(folder)
    code, out, err = cli(command, "--resume", folder)
    assert (code, out) == (2, "") and not (tmp_path / "ran").exists(), err
    assert "was not started here" in err and "--allow-import" in err and "touch ran" in err
    assert {name: text for name, text in files(folder).items() if name != "run.lock"} == before


@pytest.mark.parametrize(
    "vary",
    ["grid: {model.use: ['PATH:shell']}", "variants: {a: {model: {use: 'PATH:shell'}}}",
     "random: {model: [{use: 'PATH:shell'}]}\nsamples: 1", "grid: {metrics: [[{use: 'PATH:shell'}]]}"],
)  # fmt: skip
def test_nor_does_code_that_only_varies(cli, stranger, tmp_path, vary):
    folder = stranger("sweep", "x:y")
    base = "base:\n  model: mlp\n" + "".join(f"  {line}\n" for line in BODY.splitlines())
    target = str(tmp_path / ".venv/lib/python3/site-packages/pkg/tool.py")
    (folder / "config.yaml").write_text(base + vary.replace("PATH", target) + "\nseeds: 2\n")
    code, _, err = cli("sweep", "--resume", folder)
    assert code == 2 and "was not started here" in err and target in err and not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "arguments",
    [["check"], ["check", "--resolve"], ["train", "--lr-from", "stranger"], ["compare", "stranger"], ["sweep"],
     ["sweep", "--dry-run"], ["train"], ["tune"], ["range-test"]],
)  # fmt: skip
def test_nothing_else_that_is_given_such_a_folder_runs_its_code(cli, stranger, config, tmp_path, arguments):
    kind = "sweep" if arguments[0] == "sweep" else "train"
    folder = stranger(kind, FORMS["a package below the working folder, by its whole path"])
    (folder / "summary.json").write_text(json.dumps({
        "schema": 1, "command": "train", "status": "finished", "reason": "", "steps": 1, "seconds": 1.0,
        "config_hash": "", "suggested_lr": 0.1}))  # fmt: skip
    given = [config()] if "--lr-from" in arguments else [] if "compare" in arguments else [folder / "config.yaml"]
    cli(arguments[0], *given, *arguments[1:], *(["-o", "out"] if arguments[0] not in ("check", "compare") else []))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
@pytest.mark.parametrize(
    ("vary", "key"),
    [("grid: {seed: 2}", "base.model.use"), ("grid: {model.use: ['../b/net.py:net']}", "grid.model.use"),
     ("variants: {a: {}, b: {model: {use: 'os:system'}}}", "variants.b.model.use")],
)  # fmt: skip
def test_a_sweep_that_names_code_elsewhere_is_refused_as_a_training_is(cli, config, tmp_path, vary, key, dry):
    own = key == "base.model.use"
    config([(OWN[0], "{use: '../b/net.py:net'}")] if own else [])
    (tmp_path / "s.yaml").write_text(f"base: c.yaml\n{vary}\n")
    code, out, err = cli("sweep", "s.yaml", "-o", "out", *dry)
    assert (code, out) == (2, "") and err.startswith(f"error: {key}: ") and "--allow-import" in err
    assert not (tmp_path / "out").exists()


NET = """
import os
from torch import nn
def net(width=8):
    return nn.Sequential(nn.Linear(2, width), nn.Linear(width, 2))
"""
OWN = ("{kind: mlp, hidden: [16]}", "{use: 'm.py:net', args: {width: 8}}")


@pytest.fixture
def own(cli, config, tmp_path):
    """A run, or a sweep, of the user's own code; gives its folder."""

    def own(command="train", *more, use="m.py"):
        (tmp_path / Path(use).parent).mkdir(exist_ok=True)
        (tmp_path / use).write_text(NET)
        path = config([(OWN[0], OWN[1].replace("m.py", use)), ("duration: 3ep", "duration: 4")])
        if command == "sweep":
            path = tmp_path / "s.yaml"
            path.write_text("base: c.yaml\ngrid: {model.args.width: [4, 8]}\n")
        code, _, err = cli(command, path, "--output", "out", "--quiet", *more)
        assert code == 0, err
        return (tmp_path / "out" / ("s" if command == "sweep" else "small") / "latest").resolve()

    return own


@pytest.mark.parametrize("command", ["train", "sweep"])
def test_ones_own_run_resumes_without_a_word_wherever_it_is(cli, own, tmp_path, monkeypatch, command):
    moved = tmp_path / "moved"
    own(command).rename(moved)
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    code, _, err = cli(command, "--resume", moved, "--quiet")
    assert code == 0, err
    # Where another account, or another machine, has it, the code is named, and can be allowed.
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "away"))
    code, _, err = cli(command, "--resume", moved)
    assert code == 2 and f"{tmp_path}/m.py:net" in err and f"--allow-import {tmp_path}" in err
    assert cli(command, "--resume", moved, "--quiet", "--allow-import", tmp_path)[0] == 0
    monkeypatch.setenv("LRTOOL_ALLOW_IMPORT", str(tmp_path))
    assert cli(command, "--resume", moved, "--quiet")[0] == 0


def test_what_was_allowed_for_the_run_is_allowed_again(cli, own, config, tmp_path):
    run = own(use="models/m.py")
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "elsewhere/c.yaml"
    path.write_text(
        (tmp_path / "c.yaml")
        .read_text()
        .replace("models/m.py", f"{tmp_path}/models/m.py")
        .replace("width: 8", "width: 9")
    )
    assert cli("train", path, "-o", "out")[0] == 2
    code, _, err = cli("train", path, "-o", "out", "--quiet", "--allow-import", "models/")
    assert code == 0 and cli("train", "--resume", "out/small", "--quiet")[0] == 0, err
    assert cli("train", "--resume", run, "--quiet")[0] == 0


@pytest.mark.parametrize(("old", "new"), [("width: 8", "width: 9"), ("m.py:net", "m.py:os.system"), ("m.py", "n.py")])
def test_a_run_whose_code_or_arguments_were_changed_is_not_ones_own(cli, own, tmp_path, old, new):
    run = own()
    (tmp_path / "n.py").write_text(NET)
    text = (run / "config.yaml").read_text()
    assert text.count(old) == 1
    (run / "config.yaml").write_text(text.replace(old, new))
    code, _, err = cli("train", "--resume", run)
    assert code == 2 and "was not started here" in err and new.replace("width: 9", '"width": 9') in err


def test_a_name_does_not_lead_through_what_a_file_imports(cli, own, tmp_path):
    run = own()
    text = (
        (run / "config.yaml")
        .read_text()
        .replace("m.py:net", "m.py:os.system")
        .replace("width: 8", "command: touch ran")
    )
    (run / "config.yaml").write_text(text)
    code, _, err = cli("train", "--resume", run, "--allow-import", tmp_path)
    assert code == 2 and "leads into the module" in err and not (tmp_path / "ran").exists()


def test_what_others_may_have_remembered_does_not_count(cli, own):
    run = own()
    remembered = Path(os.environ["XDG_STATE_HOME"]) / "lrtool/started"
    assert remembered.stat().st_mode & 0o777 == 0o700
    remembered.chmod(0o777)
    try:
        assert cli("train", "--resume", run)[0] == 2
    finally:
        remembered.chmod(0o700)
    assert cli("train", "--resume", run, "--quiet")[0] == 0


def test_a_state_folder_that_is_relative_is_none(cli, own, tmp_path, monkeypatch):
    run = own()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    shutil.copytree(os.environ["XDG_STATE_HOME"], tmp_path / "planted")
    monkeypatch.setenv("XDG_STATE_HOME", "planted")
    assert cli("train", "--resume", run)[0] == 2


def test_a_home_that_cannot_be_written_is_no_reason_not_to_start(own, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert own().is_dir()


def linked(path, target):
    """A link in place of a file or folder of a run."""
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    path.symlink_to(target)


#: What may stand in a run folder, of a training and of a sweep.
FILES = {
    "train": (
        "log.txt", "metrics.csv", "config.yaml", "summary.json", "environment.json", "run.lock", "curves.png",
        "checkpoints", "checkpoints/step-00000004.json", "checkpoints/best.safetensors", "anything",
    ),
    "sweep": (
        "log.txt", "sweep.sqlite", "sweep.sqlite-wal", "sweep.sqlite-shm", "sweep.sqlite-journal", "sweep.lock",
        "trials.csv", "tune", "summary.json",
    ),
}  # fmt: skip


@pytest.fixture
def plain(cli, config, tmp_path):
    """A finished training or sweep; gives its folder."""

    def plain(command):
        path = config([("duration: 3ep", "duration: 4")])
        if command == "sweep":
            path = tmp_path / "s.yaml"
            path.write_text("base: c.yaml\nseeds: 2\n")
        assert cli(command, path, "--output", "out", "--quiet")[0] == 0
        return (tmp_path / "out" / ("s" if command == "sweep" else "small") / "latest").resolve()

    return plain


@pytest.mark.parametrize(("command", "name"), [(command, name) for command, names in FILES.items() for name in names])
def test_a_link_in_a_run_folder_is_refused_and_nothing_behind_it_changed(cli, plain, tmp_path, command, name):
    run = plain(command)
    victim = tmp_path / "victim"
    if name in ("checkpoints", "tune"):
        victim.mkdir()
        for kept in ("step-00000001.json", "step-00000001.safetensors", "best.safetensors"):
            (victim / kept).write_text("mine")
    elif (run / name).exists():
        shutil.copy(run / name, victim)
    else:
        victim.write_text("mine")
    linked(run / name, victim)
    before = files(tmp_path)
    code, out, err = cli(command, "--resume", run)
    assert code == 2 and out == "" and f"{Path(name).name} is a link to {victim}" in err
    assert files(tmp_path) == before


def test_no_table_is_added_to_another_programs_database(cli, plain, tmp_path):
    run = plain("sweep")
    for file in (run / "sweep.sqlite", tmp_path / "other.sqlite"):
        file.unlink(missing_ok=True)
        with closing(sqlite3.connect(file)) as database, database:
            database.execute("CREATE TABLE bookmarks (url TEXT)")
    before = (run / "sweep.sqlite").read_bytes()
    code, _, err = cli("sweep", "--resume", run)
    assert code == 2 and "not a sweep's database" in err and (run / "sweep.sqlite").read_bytes() == before
    linked(run / "sweep.sqlite", tmp_path / "other.sqlite")
    assert cli("sweep", "--resume", run)[0] == 2 and cli("compare", run)[0] == 2
    assert (tmp_path / "other.sqlite").read_bytes() == before


@pytest.mark.parametrize(("command", "name"), [("train", "log.txt"), ("sweep", "log.txt"), ("sweep", "sweep.sqlite")])
def test_a_second_name_of_a_file_elsewhere_is_refused(cli, plain, tmp_path, command, name):
    run = plain(command)
    # A run that is over has nothing to do, and writes nothing.
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps({**summary, "status": "interrupted"}))
    (run / "manifest.sha256").unlink()
    shutil.copy(run / name, tmp_path / "victim")
    (run / name).unlink()
    (run / name).hardlink_to(tmp_path / "victim")
    before = (tmp_path / "victim").read_bytes()
    code, _, err = cli(command, "--resume", run)
    assert code == 2 and "hard links" in err and (tmp_path / "victim").read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize("name", ["log.txt", "metrics.csv", "run.lock", "summary.json"])
def test_a_pipe_in_a_run_folder_does_not_hang(cli, plain, name):
    run = plain("train")
    (run / name).unlink()
    os.mkfifo(run / name)
    code, _, err = cli("train", "--resume", run)
    assert code == 2 and "neither a file nor a folder" in err


def test_run_folders_and_what_is_above_them_may_be_links(cli, plain, tmp_path):
    run = plain("train")
    (tmp_path / "disk").mkdir()
    shutil.move(tmp_path / "out", tmp_path / "disk/out")
    (tmp_path / "out").symlink_to(tmp_path / "disk/out")
    (tmp_path / "short").symlink_to(run)
    for given in ("out/small", "out/small/latest", run, "short"):
        assert cli("train", "--resume", given, "--quiet")[0] == 0
    assert cli("train", "c.yaml", "--output", "out", "--quiet")[0] == 0


def test_names_and_texts_can_neither_forge_log_lines_nor_move_the_cursor(cli, config, tmp_path):
    config([("name: small", 'name: "small\\e[2J\\nerror: forged"')])
    forged = "2026-01-01 00:00:00,000 INFO forged"
    (tmp_path / "s.yaml").write_text(
        f'base: c.yaml\nvariants: {{"a\\n{forged}\\e[31m": {{}}, b: {{}}}}\n'
        'grid: {model.hidden: [[4], "x\\ny\\e[1m"]}\nseeds: 2\n'
    )
    code, out, err = cli("sweep", "s.yaml", "-o", "out")
    assert code == 2 and "\x1b" not in out + err
    text = (tmp_path / "s.yaml").read_text().replace(', "x\\ny\\e[1m"', "").replace("{}", "{data.batch_size: 4000}", 1)
    (tmp_path / "s.yaml").write_text(text)
    code, out, err = cli("sweep", "s.yaml", "-o", "out")
    lines = next(tmp_path.glob("out/*/*/log.txt")).read_text().splitlines()
    assert any(forged in line for line in lines) and not any(line.startswith(forged) for line in lines)
    said = out + err + cli("compare", next(tmp_path.glob("out/*/2*")))[1]
    assert (
        code == 4  # a trial failed
        and "\x1b" not in said
        and not any(line.startswith((forged, "error: f")) for line in said.splitlines())
    )


def test_samples_that_a_store_claims_were_drawn_are_those_of_the_sweep(cli, config, tmp_path):
    config([("duration: 3ep", "duration: 4")])
    (tmp_path / "s.yaml").write_text(
        "base: c.yaml\nrandom: {model: [{kind: mlp, hidden: [4]}], optimizer.lr: {log: [0.1, 1]}}\nsamples: 2\n"
        "batch: 2\nsampler: tpe\n"
    )
    assert cli("sweep", "s.yaml", "-o", "out", "--quiet")[0] == 0
    made = tmp_path / "out/s/latest"
    for sample in ({"model": {"use": "x.py:y"}}, {"optimizer.lr": 2.0}, {"model.use": "x.py:y"}):
        with closing(sqlite3.connect(made / "sweep.sqlite")) as database, database:
            database.execute("DELETE FROM trials")
            database.execute("REPLACE INTO facts VALUES (?, ?, ?)", fact_row("drawn:0", [[0, sample]]))
        code, _, err = cli("sweep", "--resume", made)
        assert code == 2 and "does not hold" in err


def test_latest_as_a_file_leads_no_further_than_its_folder(cli, plain, tmp_path):
    plain("train")
    (tmp_path / "given").mkdir()
    (tmp_path / "given/latest").write_text(f"{(tmp_path / 'out/small/latest').resolve()}")
    assert run(["train", "--resume", "given"]) == 2


SECRETS = {
    "config.yaml": "name: x\npassword: hunter2\n",
    "summary.json": json.dumps({"schema": 1, "command": "train", "status": "finished", "reason": "hunter2"}),
    "environment.json": json.dumps({"device": "hunter2"}),
    "metrics.csv": None,
    "manifest.sha256": "hunter2\n",
}


@pytest.mark.parametrize("name", SECRETS)
def test_what_a_link_in_a_run_folder_leads_to_is_not_shown(cli, config, tmp_path, name):
    assert cli("train", config(), "--quiet", "--output", "out", "--set", "train.duration=4")[0] == 0
    folder = (tmp_path / "out/small/latest").resolve()
    secret = tmp_path / "secret"
    secret.write_text(SECRETS[name] or (folder / name).read_text().replace("0,", "hunter2,", 1))
    (folder / name).unlink()
    (folder / name).symlink_to(secret)
    before = secret.read_text()
    for command in (
        ("compare", folder), ("report", folder, "-o", "x.html"), ("runs", "out"), ("train", "--resume", folder),
        ("theory", "predict", folder), ("theory", "refine", folder), ("train", "c.yaml", "--lr-from", folder),
    ):  # fmt: skip
        _, out, err = cli(*command)
        assert "hunter2" not in out + err, command
    page = tmp_path / "x.html"
    assert not page.exists() or "hunter2" not in page.read_text()
    assert secret.read_text() == before
