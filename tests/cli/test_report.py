"""`lrtool report`, `compare --format`, and what commands add to the summary of a GitHub job."""

import csv
import io
import json
import webbrowser

import pytest

from tests.report.html.folders import range_test_run, sweep_run, train_run

GRID = [{"optimizer.lr": 0.1, "schedule.kind": kind} for kind in ("cosine", "constant")]


@pytest.fixture
def summary_file(tmp_path, monkeypatch):
    path = tmp_path / "step-summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    return path


def test_a_report_is_written_and_its_answer_said(cli, tmp_path):
    path = range_test_run(tmp_path / "out")
    code, out, err = cli("report", path)
    assert code == 0 and out.splitlines()[0].startswith("Suggested peak LR 0.123, 90% interval")
    assert err.startswith("note: small/") and err.endswith("-range-test: one seed shows little\n")
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    (tmp_path / "folder").mkdir()
    code, out, _ = cli("report", path, "-o", "folder", "--json")
    document = json.loads(out)
    assert document["file"] == "folder/report.html" and document["bytes"] > 1e6 and document["trials"] == 9


def test_quiet_says_no_notes_and_open_opens(cli, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or False)
    path = train_run(tmp_path / "out", ended=False)
    code, _, err = cli("report", path, "--open", "--quiet", "-o", "my report.html")
    assert code == 0 and err == "" and opened == [(tmp_path / "my report.html").as_uri()]
    _, _, err = cli("report", path, "--open")
    assert "note: small/" in err and "has no summary yet" in err and "open report.html yourself" in err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "Missing argument"),
        (["nowhere"], 2, "there is no such folder"),
        (["*.html"], 2, "nothing matches"),
        (["out/small/*", "-o", "no/such/folder.html"], 5, "cannot write here"),
    ],
)
def test_what_cannot_be_reported(cli, tmp_path, arguments, code, said):
    train_run(tmp_path / "out")
    found, out, err = cli("report", *arguments)
    assert found == code and said in err and out == "" and not (tmp_path / "report.html").exists()


def test_a_name_cannot_move_the_cursor(cli, tmp_path):
    code, out, err = cli("report", train_run(tmp_path / "out", name="a\x1b[2Jb"), train_run(tmp_path / "out"))
    assert code == 0 and "\x1b" not in out + err + (tmp_path / "report.html").read_text()


@pytest.fixture
def sweep(tmp_path):
    return sweep_run(tmp_path / "out", GRID, seeds=4)


def test_markdown_latex_csv_and_json_say_the_same(cli, sweep):
    found = json.loads(cli("compare", sweep, "--format", "json")[1])
    assert found == json.loads(cli("compare", sweep, "--json")[1])
    best = found["variants"][0]
    code, markdown, err = cli("compare", sweep, "--format", "markdown")
    lines = markdown.splitlines()
    assert code == 0 and err == "" and lines[1].startswith("| --- | ---: |")
    assert lines[2].startswith(f"| {best['variant']}") and f" {best['mean']:.4g} |" in lines[2]
    assert all(line.count(" | ") == lines[0].count(" | ") for line in lines[:4])
    latex = cli("compare", sweep, "--format", "latex")[1]
    assert rf"\textbf{{{best['variant']}" in latex and r"\bottomrule" in latex and f"& {best['mean']:.4g} &" in latex
    rows = list(csv.DictReader(io.StringIO(cli("compare", sweep, "--format", "csv")[1])))
    assert float(rows[0]["mean"]) == best["mean"]


def test_formats_that_are_none_or_two(cli, sweep):
    assert cli("compare", sweep, "--format", "html")[::2] == (
        2, "error: --format: expected one of markdown, latex, csv, json, but got 'html'\n"
    )  # fmt: skip
    assert cli("compare", sweep, "--format", "csv", "--json")[0] == 2


def test_names_with_markup_stay_text(cli, tmp_path):
    evil = "a|b<img src=x>`_*\n$x^2$ & 50%"
    sweep = sweep_run(tmp_path / "out", [{"data.batch_size": 32}, {"data.batch_size": 64}], name=evil)
    for seed in range(2):
        train_run(tmp_path / "out", name=evil, seed=seed)
    for form in ("markdown", "latex"):
        code, out, _ = cli("compare", sweep, "--by", "name", "--format", form)
        assert code == 0, out
        if form == "markdown":
            assert r"\|b\<img src=x\>\`\_\*" in out and len({line.count(" | ") for line in out.splitlines()[:3]}) == 1
        else:
            assert r"\textless{}img" in out and r"\$x\textasciicircum{}2\$ \& 50\%" in out


def test_compare_adds_to_the_summary_of_a_job(cli, sweep, summary_file):
    summary_file.write_text("before\n")
    assert cli("compare", sweep)[0] == 0
    text = summary_file.read_text()
    assert text.startswith("before\n### lrtool compare: 2 variants\n\n| variant |") and "**" in text


def test_training_adds_to_the_summary_of_a_job(cli, config, summary_file):
    code, _, _ = cli("train", config([("duration: 3ep", "duration: 4")]), "--quiet")
    text = summary_file.read_text()
    assert code == 0 and text.startswith("### lrtool train: small\n\n**Trained 4 updates: final validation loss")
    assert "| final val\\_loss |" in text and "| folder | outputs/small/" in text


def test_a_summary_that_cannot_be_written_stops_nothing(cli, sweep, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    code, out, err = cli("compare", sweep)
    assert code == 0 and "note: GITHUB_STEP_SUMMARY" in err and "cannot be written" in err and out
    full = tmp_path / "full.md"
    full.write_bytes(bytes(2**20))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(full))
    assert "longer than the 1 MiB" in cli("compare", sweep)[2] and full.stat().st_size == 2**20
