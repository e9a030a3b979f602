"""`lrtool schedule`: what is printed and written, and every mistake read aloud."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lrtool.cli.app import run
from lrtool.schedules import KINDS

CONFIGS = Path(__file__).parents[3] / "configs"


def test_list(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")  # some packages set it when they are imported
    assert run(["schedule", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1 : len(KINDS.kinds) + 1]] == list(KINDS.kinds)
    assert "▇" in next(line for line in lines if line.startswith("cosine "))
    assert "\x1b" not in "".join(lines)


def test_list_as_json(capsys):
    assert run(["schedule", "list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["kind"] for each in found] == list(KINDS.kinds)
    assert all(each["summary"] and each["formula"] and each["fields"] for each in found)


def test_explain(capsys):
    assert run(["schedule", "explain", "cosine"]) == 0
    text = capsys.readouterr().out
    for part in ("factor(d)", "final", "warmup", "helps", "hurts", "arXiv:1608.03983", "CosineAnnealingLR", "└"):
        assert part in text
    assert run(["schedule", "explain", "cosine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "cosine"


def test_show_draws_and_tells_the_ends(capsys):
    assert run(["schedule", "show", "cosine", "warmup=5%", "--lr", "0.2", "--steps", "200"]) == 0
    captured = capsys.readouterr()
    assert "cosine warmup=5%: 200 updates, first 0.02, highest 0.2 at step 9" in captured.out
    assert captured.err == ""
    assert any("⠀" <= sign <= "⣿" for sign in captured.out)


def test_show_several_and_log(capsys):
    assert run(["schedule", "show", "cosine", "linear", "final=1%", "cosine", "--log"]) == 0
    out = capsys.readouterr().out
    assert "● cosine (1)" in out
    assert "○ linear final=1%" in out
    assert "▲ cosine (2)" in out


def test_show_draws_momentum_too(capsys):
    assert run(["schedule", "show", "one_cycle"]) == 0
    assert "momentum" in capsys.readouterr().out
    assert run(["schedule", "show", str(CONFIGS / "digits-cnn.yaml"), "kind=one_cycle"]) == 0
    assert "beta1" in capsys.readouterr().out


def test_show_writes_files(tmp_path, capsys):
    paths = [tmp_path / "deep" / "a.png", tmp_path / "a.svg", tmp_path / "a.csv"]
    options = [text for path in paths for text in (f"--{path.suffix[1:]}", str(path))]
    assert run(["schedule", "show", "one_cycle", "--steps", "50", "--quiet", *options]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [f"wrote {path}" for path in paths]
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    assert "<svg" in paths[1].read_text(encoding="utf-8")
    rows = list(csv.DictReader(paths[2].open()))
    curve = KINDS["one_cycle"]().bind(0.1, 50)
    assert [float(row["lr"]) for row in rows] == curve(np.arange(51)).tolist()
    assert set(rows[0]) == {"step", "lr", "momentum"}


def test_show_writes_a_folder_with_several(tmp_path):
    assert run(["schedule", "show", "cosine", "linear", "--steps", "9", "-o", str(tmp_path), "--quiet"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["schedule.csv", "schedule.png", "schedule.svg"]
    rows = list(csv.DictReader((tmp_path / "schedule.csv").open()))
    assert list(rows[0]) == ["step", "cosine", "linear"]
    assert len(rows) == 10


def test_show_a_config(capsys):
    path = str(CONFIGS / "text-transformer.yaml")
    assert run(["schedule", "show", path, "--json"]) == 0
    captured = capsys.readouterr()
    (found,) = json.loads(captured.out)
    assert (found["lr"], found["steps"], found["notes"]) == (0.003, 300, [])
    assert found["highest_at"] == 29
    assert run(["schedule", "show", path, "--json", "--lr", "1", "--steps", "60"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["lr"], found["steps"]) == (1.0, 60)


def test_epochs_of_a_config_are_assumed_aloud(capsys):
    path = str(CONFIGS / "spirals-mlp.yaml")
    assert run(["schedule", "show", path]) == 0
    assert "an epoch is drawn as 100 updates" in capsys.readouterr().err
    assert run(["schedule", "show", path, "--steps-per-epoch", "13", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)[0]["steps"] == 390
    assert captured.err == ""


def test_steps_in_epochs(capsys):
    assert run(["schedule", "show", "cosine", "--steps", "3ep", "--steps-per-epoch", "7", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["steps"] == 21


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_can_be_shown_and_exported(path, capsys):
    assert run(["schedule", "show", str(path)]) == 0
    assert run(["schedule", "export", str(path), "--to", "csv", "--steps-per-epoch", "10"]) == 0
    assert "step,lr" in capsys.readouterr().out


def test_export_prints_code_that_runs(capsys):
    assert run(["schedule", "export", "cosine", "warmup=5%", "--to", "torch", "--steps", "40", "--lr", "0.5"]) == 0
    scope = {"__name__": "exported"}
    exec(capsys.readouterr().out, scope)
    curve = KINDS["cosine"](warmup="5%").bind(0.5, 40)
    np.testing.assert_allclose([0.5 * scope["factor"](t) for t in range(50)], curve(np.arange(50)), rtol=1e-12)


def test_export_to_a_file(tmp_path, capsys):
    file = tmp_path / "rates.csv"
    assert run(["schedule", "export", "linear", "--to", "csv", "--steps", "4", "-o", str(file)]) == 0
    assert capsys.readouterr().out == ""
    assert file.read_text().splitlines()[:2] == ["step,lr", "0,0.1"]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["show"], ["no schedule is given", "lrtool schedule show cosine"]),
        (["show", "cosin"], ["no schedule 'cosin'", "did you mean 'cosine'"]),
        (["show", "cosine", "finale=1"], ["finale=1", "no such key", "did you mean 'final'"]),
        (["show", "COSINE"], ["no schedule 'COSINE'", "did you mean 'cosine'"]),
        (["show", "cosine", "=5"], ["'=5' has no key", "write KEY=VALUE"]),
        (["show", "cosine", "warmup="], ["'warmup=' has no value", "warmup=5%"]),
        (["show", "cosine", "warmup", "5%"], ["'warmup' is a field of cosine", "write warmup=VALUE"]),
        (["show", "cosine", "warmup=[1"], ["warmup=[1", "bracket", "close it"]),
        (["show", "cosine", "warmup=soon"], ["warmup=soon", "a duration is", "but got 'soon'"]),
        (["show", "cosine", "--png", "a.svg"], ["--png", "ends with .svg", "write --png a.png, or --svg a.svg"]),
        (["show", "cosine", "--csv", "a.pdf"], ["--csv", "ends with .pdf", "write --csv a.csv"]),
        (["show", "final=1"], ["no schedule stands before it"]),
        (["show", "cosine", "--steps", "-4"], ["--steps", "at least 1 update, but got '-4'", "write 500"]),
        (["show", "cosine", "--steps", "0"], ["at least 1 update, but got '0'"]),
        (["show", "cosine", "--steps", "1000000000"], ["too many to draw", "at most 20000000"]),
        (["show", "cosine", "--lr", "-1"], ["lr", "above 0, but got -1.0", "try 0.01"]),
        (["show", "cosine", "--lr", "nan"], ["finite number above 0"]),
        (["show", "cosine", "--steps-per-epoch", "0"], ["--steps-per-epoch", "at least 1", "try 100"]),
        (["show", "step", "every=1ep"], ["every", "counts epochs", "--steps-per-epoch"]),
        (["show", "cosine", "warmup=2000"], ["warmup", "must fit into the 1000 updates", "write at most 1000"]),
        (["show", "cosine", "final=3"], ["final", "above the peak of 0.1", "raise the LR"]),
        (["show", "nowhere.yaml"], ["nowhere.yaml", "no such file"]),
        (["show", "table", "file=nowhere.csv"], ["nowhere.csv", "cannot read the table"]),
        (["explain", "lineer"], ["no schedule 'lineer'", "did you mean 'linear'"]),
        (["export"], ["no schedule is given"]),
        (["export", "cosine", "--to", "keras"], ["cannot export to 'keras'", "choose one of: torch"]),
        (["export", "cosine", "--to", "Torch"], ["cannot export to 'Torch'", "did you mean 'torch'"]),
        (["export", "cosine", "linear"], ["one schedule", "cosine, linear"]),
        (["export", str(CONFIGS / "digits-mlp.yaml")], ["length of an epoch", "--steps-per-epoch"]),
        (["show", "cosine", "--steps", "many"], ["--steps", "at least 1 update, but got 'many'"]),
        (["show", "cosine", "--steps", "50%"], ["--steps", "but got '50%'"]),
    ],
)
def test_mistakes(arguments, parts, capsys):
    assert run(["schedule", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    for part in parts:
        assert part in captured.err


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["is empty"]),
        (b"just words", ["mapping of keys to values"]),
        (b"- 1", ["mapping of keys to values"]),
        (b"\x89PNG\x00", ["not UTF-8"]),
        (b"lr: 0.1\n", ["it has no kind", "write kind:"]),
        (b"schedule: 7\n", ["a kind or a mapping, but got 7"]),
        (b"schedule: {kind: cosine, fnal: 0}\n", ["no such key", "did you mean 'final'"]),
    ],
)
def test_a_file_that_is_no_schedule(content, parts, tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    assert run(["schedule", "show", str(file)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    for part in [str(file), *parts]:
        assert part in captured.err


def test_a_field_can_be_unset(capsys):
    assert run(["schedule", "show", "cyclical", "step_size_down=null", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["schedule"]["step_size_down"] is None


def test_a_file_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run(["schedule", "show", "cosine", "--quiet", "--png", str(tmp_path / "file" / "a.png")]) == 5
    assert "cannot write here" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["explain", "one_cycle"],
        ["show", "cosine", "--png", "a.png", "--csv", "a.csv"],
        ["show", str(CONFIGS / "digits-mlp.yaml"), "--svg", "a.svg"],
        ["show", "cosin"],
        ["export", "cosine", "--to", "torch"],
        ["export", str(CONFIGS / "digits-mlp.yaml"), "--to", "optax"],
    ],
    ids=lambda arguments: "-".join(arguments[:2]).replace("/", "_"),
)
def test_torch_is_never_imported(arguments, tmp_path):
    code = (
        "import sys; from lrtool.cli.app import run; run(sys.argv[1:]);"
        " sys.exit('torch' in sys.modules or 'jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, "schedule", *arguments], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("CosineAnnealingLR", "cosine"),
        ("CosineAnnealingWarmRestarts", "cosine_restarts"),
        ("OneCycleLR", "one_cycle"),
        ("MultiStepLR", "multistep"),
        ("CyclicLR", "cyclical"),
        ("get_cosine_schedule_with_warmup", "cosine"),
        ("get_linear_schedule_with_warmup", "linear"),
        ("get_inverse_sqrt_schedule", "inverse_sqrt"),
        ("warmup_cosine", "cosine"),
        ("noam", "inverse_sqrt"),
        ("SGDR", "cosine_restarts"),
        ("PolyLRScheduler", "polynomial"),
        ("fit_one_cycle", "one_cycle"),
        ("WarmupDecayLR", "linear"),
        ("LinearWarmupCosineAnnealingLR", "cosine"),
        ("get_cosine_with_hard_restarts_schedule_with_warmup", "cosine_restarts"),
        ("torch.optim.lr_scheduler.StepLR", "step"),
        ("cosine_decay_schedule", "cosine"),
        ("warmup_stable_decay", "wsd"),
        ("exponential_decay", "exponential"),
    ],
)
def test_explain_knows_the_names_of_other_libraries(capsys, name, kind):
    assert run(["schedule", "explain", name, "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["kind"] == kind and shown.err == f"{name} is {kind} here\n"


def test_explain_says_where_a_plateau_is_written(capsys):
    assert run(["schedule", "explain", "ReduceLROnPlateau"]) == 0
    assert "plateau: {factor: 0.1, patience: 10}" in capsys.readouterr().out
    assert run(["schedule", "explain", "no_such_thing"]) == 2
    assert "there is no schedule 'no_such_thing'" in capsys.readouterr().err
