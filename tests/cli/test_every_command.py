"""What holds for every command of the app: options that all have, and streams that take little."""

import io
import json
import shutil
import sys

import pytest
import typer

import lrtool
from lrtool.cli.app import app, run
from lrtool.cli.common import print_json, say


def commands(group, path=()):
    """Every command below a group, by the words that call it."""
    for name, command in group.commands.items():
        words = (*path, name)
        yield from commands(command, words) if hasattr(command, "commands") else [(words, command)]


COMMANDS = dict(commands(typer.main.get_command(app)))
#: What each command is tried with; they work on the small config, and nothing here trains for long.
TRIED = {
    ("check",): ["c.yaml"],
    ("compare",): ["out/small/*-train", "--target", "0.5"],
    ("doctor",): [],
    ("init",): [],
    ("range-test",): ["c.yaml", "--set", "range_test.probe_steps=0", "-o", "out"],
    ("report",): ["out/small/*-train"],
    ("runs",): ["out"],
    ("schedule", "explain"): ["cosine"],
    ("schedule", "export"): ["cosine", "warmup=5%", "--steps", "10"],
    ("schedule", "list"): [],
    ("schedule", "show"): ["cosine", "linear"],
    ("schema",): [],
    ("sweep",): ["s.yaml", "--dry-run"],
    ("theory", "backtest"): ["r0.csv", "r1.csv"],
    ("theory", "bound"): ["cosine", "linear", "--steps", "10"],
    ("theory", "predict"): ["r0.csv", "r1.csv", "--config", "linear", "--steps", "100"],
    ("theory", "refine"): ["trained"],
    ("transfer",): ["--points", "p.csv", "--to", "batch=512", "-o", "out"],
    ("train",): ["c.yaml", "-o", "out"],
    ("tune",): ["c.yaml", "-o", "out", "--budget", "30"],
}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_json_and_quiet(words):
    options = {name for parameter in COMMANDS[words].params for name in parameter.opts}
    assert {"--json", "--quiet", "-q"} <= options
    assert words in TRIED, "write down how to try it"


#: The functions of the Python API that are not called as their command is.
FUNCTIONS = {
    "report": "html_report",
    "runs": "list_runs",
    "schedule explain": "explain_schedule",
    "schedule export": "export_schedule",
    "schedule list": "schedule_kinds",
    "schedule show": "show_schedules",
}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_is_a_function(words):
    name = FUNCTIONS.get(" ".join(words), words[-1].replace("-", "_"))
    assert name in lrtool.__all__ and callable(getattr(lrtool, name))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A training to compare and list."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "c.yaml").write_text(
        "name: small\nmodel: {kind: linear}\ndata: {kind: spirals, samples: 240, batch_size: 24}\n"
        "optimizer: {kind: sgd, lr: 0.1}\nrange_test: {steps: 20, seeds: 1}\ntrain: {duration: 20, grad_norm: true}\n"
    )
    rows = [f"{batch},{lr},{1 + lr * batch}" for batch in (1, 2, 4) for lr in (0.1, 0.2, 0.4)]
    (folder / "p.csv").write_text("\n".join(["batch,lr,loss", *rows]))
    (folder / "s.yaml").write_text("base: c.yaml\ngrid: {schedule: [cosine, constant]}\nseeds: 2\n")
    for number, (start, end) in enumerate(((0.1, 0.0), (0.1, 0.1))):
        rows = (
            f"{t},{start + (end - start) * t / 100},{2 + 1 / (1 + t) - 0.5 * (start - end) * t / 100}"
            for t in range(101)
        )
        (folder / f"r{number}.csv").write_text("\n".join(["step,lr,loss", *rows]) + "\n")
    assert run(["train", str(folder / "c.yaml"), "--output", str(folder / "out"), "--quiet"]) == 0
    # Its name stays, whatever else is run into `out`.
    shutil.copytree(folder / "out/small/latest", folder / "trained")
    return folder


@pytest.mark.parametrize("words", TRIED, ids=" ".join)
def test_json_is_one_document(words, trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    code = run([*words, *TRIED[words], "--json"])
    captured = capsys.readouterr()
    assert code in (0, 3), captured.err
    json.loads(captured.out)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("words", [*TRIED, ("check", "nowhere.yaml"), ("trane",)], ids=" ".join)
def test_streams_that_know_few_characters_and_no_cursor(words, encoding, trained, monkeypatch):
    monkeypatch.chdir(trained)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("FORCE_COLOR", "1")
    raw = {name: io.BytesIO() for name in ("stdout", "stderr")}
    for name, stream in raw.items():
        monkeypatch.setattr(sys, name, io.TextIOWrapper(stream, encoding=encoding))
    code = run([*words, *TRIED.get(words, [])])
    for name in raw:
        getattr(sys, name).flush()
    said = {name: stream.getvalue().decode(encoding) for name, stream in raw.items()}
    assert code in (0, 3) if words in TRIED else code == 2
    for text in said.values():
        assert all(char == "\n" or ord(char) >= 32 for char in text) and "bug" not in text


@pytest.mark.parametrize("words", [(), *COMMANDS], ids=lambda words: " ".join(words) or "lrtool")
def test_help_shows_on_any_terminal(words, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert run([*words, "--help"]) == 0
    sys.stdout.flush()
    assert "Usage:" in raw.getvalue().decode("ascii")


def test_json_is_lossless_whatever_stdout_takes(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="cp1252"))
    print_json({"name": "λ … 名 \udc80"})
    sys.stdout.flush()
    assert json.loads(raw.getvalue()) == {"name": "λ … 名 \udc80"}


def test_lines_are_written_at_once(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="utf-8"))
    say("peak lr …")
    assert raw.getvalue().decode() == "peak lr …\n"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("lrtool ru", "runs"),
        ("lrtool schedule explain inv", "inverse_sqrt"),
        ("lrtool init --schedule cos", "cosine"),
        ("lrtool init --optimizer ada", "adam"),
    ],
)
def test_the_shell_is_offered_what_can_be_typed(typed, offered, monkeypatch, capsys):
    from lrtool.cli.app import main

    monkeypatch.setenv("_LRTOOL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    with pytest.raises(SystemExit):
        main()
    assert offered in capsys.readouterr().out.split()
