"""Each command through the command line, as a user or a script meets it."""

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from lrtool import __version__


def test_a_range_test_and_the_training_it_suggests(cli, config, tmp_path):
    # A ramp of 40 steps and 2 seeds may not show a fall beyond its noise.
    path = config([("steps: 40, seeds: 2", "steps: 100, seeds: 3")])
    code, out, err = cli("range-test", path, "--output", "out")
    assert code == 0 and "suggested peak LR" in out and "next: lrtool train" in out
    assert "\x1b" not in err and err.index("cost: ") < err.index("first answer, from the ramp alone") < err.index(
        "finished"
    )
    assert err.count("ETA") <= 3 and out.count("does not blow up until") == 1
    code, out, _ = cli("train", path, "--lr-from", "out/small/latest", "--output", "out")
    first, second, *_ = out.splitlines()
    assert code == 0 and second.startswith("finished after 24 updates")
    assert re.match(
        r"peak lr \S+ \(suggested by range-test, out/small/\d{8}-\d{6}-range-test\), schedule one_cycle", first
    )
    summary = json.loads((tmp_path / "out/small/latest/summary.json").read_text())
    assert summary["lr_from"] in first and summary["lr"] == pytest.approx(float(first.split()[2]), rel=0.01)
    assert (tmp_path / "out/small/latest/curves.png").exists()


def test_json_is_all_that_stdout_gets(cli, config):
    code, out, err = cli("range-test", "--config", config(), "--output", "out", "--json")
    document = json.loads(out)
    assert code == 0 and err == ""
    assert document["command"] == "range-test" and Path(document["folder"]).is_dir()
    code, out, _ = cli("train", config(), "--output", "out", "--json")
    assert json.loads(out)["final"]["step"] == 24


def test_quiet_shows_the_result_only(cli, config):
    _, out, err = cli("train", config(), "--output", "out", "--quiet")
    assert err == "" and "finished" in out


def test_set_and_seed_reach_the_config(cli, config):
    _, out, _ = cli("check", config(), "--set", "optimizer.lr=0.5", "--seed", 3, "--json")
    assert json.loads(out)["lr"] == 0.5


def test_a_finished_run_has_nothing_to_do_and_stays_as_it_is(cli, config, tmp_path):
    cli("train", config(), "--output", "out", "--quiet")
    run = (tmp_path / "out/small/latest").resolve()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    code, out, _ = cli("train", "--resume", run)
    assert code == 0 and out.startswith("nothing to do: this run finished after 24 updates")
    document = json.loads(cli("train", "--resume", run, "--json")[1])
    assert document["nothing_to_do"] and document["final"]["step"] == 24
    assert {path: path.read_bytes() for path in before if path.name != "run.lock"} == {
        path: data for path, data in before.items() if path.name != "run.lock"
    }


def test_a_run_that_diverged_has_nothing_to_do_either(cli, config):
    assert cli("train", config(), "--output", "out", "--set", "optimizer.lr=1e30", "-q")[0] == 3
    code, out, _ = cli("train", "--resume", "out/small")
    assert code == 3 and out.startswith("nothing to do: this run diverged after")


@pytest.mark.parametrize("left", ["a config", "half a file of metrics", "a header"])
def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(cli, config, tmp_path, left):
    cli("train", config(), "--output", "out", "--quiet")
    whole = (tmp_path / "out/small/latest").resolve()
    cut = tmp_path / "cut"
    (cut / "checkpoints").mkdir(parents=True)
    (cut / "config.yaml").write_bytes((whole / "config.yaml").read_bytes())
    rows = (whole / "metrics.csv").read_text().splitlines(keepends=True)
    if left != "a config":
        (cut / "metrics.csv").write_text("".join(rows[:1] if left == "a header" else [*rows[:9], rows[9][:7]]))
    code, out, _ = cli("train", "--resume", cut)
    assert code == 0 and "finished after 24 updates" in out and "the run began again" in out
    results = [json.loads((folder / "summary.json").read_text())["final"] for folder in (whole, cut)]
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "c.yaml:4:24), schedule one_cycle, 24 updates"),
        (["--set", "optimizer.lr=0.0123456"], "peak lr 0.0123 (--set optimizer.lr=0.0123456), "),
        (["--set", "optimizer={kind: prodigy}"], "peak lr 1 (the default of prodigy), "),
        (["--set", "schedule={kind: table, file: t.csv}"], "its values are the table's"),
    ],
)
def test_train_says_which_lr_it_takes_and_why(cli, config, tmp_path, arguments, said):
    rows = "".join(f"{step},0.5\n" for step in range(24))
    code, out, err = cli("train", config(t__csv=f"step,factor\n{rows}"), "-o", "out", *arguments)
    assert code == 0 and said in out.splitlines()[0], err
    summary = json.loads((tmp_path / "out/small/latest/summary.json").read_text())
    assert f"({summary['lr_from']})" in out.splitlines()[0] and f"{summary['lr']:.3g}" in out.splitlines()[0]


@pytest.mark.parametrize("command", ["range-test", "tune"])
def test_other_runs_cannot_be_resumed_as_a_training(cli, tmp_path, command):
    folder = tmp_path / "out" / "small" / f"20260101-000001-{command}"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("name: small\n")
    code, _, err = cli("train", "--resume", folder)
    assert code == 2 and f"this is a {command} run" in err and f"lrtool train CONFIG --lr-from {folder}" in err


def test_a_folder_is_no_config(cli, config, tmp_path):
    cli("train", config(), "--output", "out", "--quiet")
    code, _, err = cli("train", "out/small")
    assert code == 2 and "this is the folder of a run" in err and "out/small/latest/config.yaml" in err
    code, _, err = cli("check", tmp_path)
    assert code == 2 and "this is a folder  give one of its files: c.yaml" in err


def test_ones_own_code_trains_and_resumes(cli, config, tmp_path):
    replace = [
        ("{kind: mlp, hidden: [16]}", "{use: 'm.py:net', args: {width: 8}}"),
        ("{kind: spirals, samples: 240, batch_size: 24}", "{use: 'd.py:load', batch_size: 10}"),
    ]
    model = "from torch import nn\ndef net(width): return nn.Sequential(nn.Linear(3, width), nn.Linear(width, 1))\n"
    data = "import numpy as np\ndef load():\n    x = np.ones((50, 3), np.float32)\n    return x, x[:, :1]\n"
    slow = ("--set", "optimizer.lr=0.01", "--quiet")
    code, _, err = cli("train", config(replace, m__py=model, d__py=data), "--output", "out", *slow)
    assert code == 0, err
    summary = tmp_path / "out/small/latest/summary.json"
    summary.write_text(summary.read_text().replace('"finished"', '"interrupted"'))
    # As a run that was stopped leaves it: its manifest names what was complete only.
    (summary.parent / "manifest.sha256").unlink()
    assert cli("train", "--resume", "out/small")[0] == 0
    # Elsewhere, the resolved config may not run that code unless it is allowed to.
    (tmp_path / "elsewhere").mkdir()
    resolved = tmp_path / "out/small/latest/config.yaml"
    code, _, err = cli("train", resolved, "--output", "again")
    assert code == 2 and "--allow-import" in err
    assert cli("train", resolved, "--output", "again", "--allow-import", f"{tmp_path}/", "--quiet")[0] == 0


def test_check_says_what_there_is(cli, config):
    code, out, _ = cli("check", config())
    assert code == 0 and "is fine" in out and "one_cycle" in out
    code, out, _ = cli("check", config(), "--resolve", "--json")
    facts = json.loads(out)
    assert facts["updates"] == 24 and facts["training_samples"] == 192


def test_check_resolve_finds_what_only_building_shows(cli, config):
    code, _, err = cli("check", config(), "--resolve", "--set", "schedule={kind: cosine, warmup: 50ep}")
    assert code == 2 and "warm" in err


def test_init_writes_once(cli, tmp_path):
    code, out, err = cli("init", "mine.yaml", "--model", "cnn")
    assert code == 0 and out == "" and "lrtool check mine.yaml" in err
    assert cli("check", "mine.yaml", "--resolve")[0] == 0
    code, _, err = cli("init", "mine.yaml")
    assert code == 2 and "--force" in err
    assert cli("init", "mine.yaml", "--force")[0] == 0
    code, out, err = cli("init", "--data", "csv")
    assert code == 0 and "path: …" in out and "data.path, data.target" in err


def test_doctor_reports_versions_devices_and_extras(cli):
    code, out, _ = cli("doctor")
    assert code == 0 and "torch" in out and "cpu" in out and "extras" in out
    findings = json.loads(cli("doctor", "--json")[1])
    assert {"versions", "devices", "extras", "machine"} <= set(findings)


def test_doctor_examines_a_checkout_that_is_not_installed(cli, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.metadata", missing)
    code, out, err = cli("doctor", "--json")
    assert code == 0, err
    assert json.loads(out)["versions"]["lrtool"] == __version__ and json.loads(out)["extras"] == {}


def test_schema_is_json(cli):
    assert json.loads(cli("schema")[1])["title"] == "lrtool config"


def test_smoke_exits_with_an_error_where_a_stage_cannot_work(cli, config):
    assert cli("train", config(), "--smoke", "--output", "out", "--quiet")[0] == 0
    code, _, _ = cli("train", config(), "--smoke", "--output", "out", "--set", "plateau={metric: val_nothing}")
    assert code == 2


@pytest.mark.parametrize("arguments", [["--version"], ["schema"]])
def test_python_m_lrtool_is_the_same_command(arguments):
    done = subprocess.run([sys.executable, "-m", "lrtool", *arguments], capture_output=True, text=True, check=True)
    assert done.stdout
