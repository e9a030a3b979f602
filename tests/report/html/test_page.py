"""The report's data, and the file it becomes, from run folders in every state."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from importlib.resources import files

import numpy as np
import pytest

from lrtool.errors import UsageError
from lrtool.report.html.document import document
from lrtool.report.html.packing import FloatPool
from lrtool.report.html.page import Page
from lrtool.report.html.points import telling
from lrtool.report.html.render import render
from lrtool.runs.sweep.store import read_trials
from tests.report.html.folders import range_test_run, sweep_run, train_run

SETTINGS = [{"optimizer.lr": lr, "schedule.kind": kind} for lr in (0.01, 0.1, 10.0) for kind in ("cosine", "constant")]


def page(*paths):
    return Page.of([str(path) for path in paths])


def floats(data, place):
    """An array of the page's pool."""
    pool = np.frombuffer(base64.b64decode(data["floats"]), dtype="<f8")
    return pool[place[0] : place[0] + place[1]]


def column(data, key):
    found = next(each for each in data["columns"] if each["key"] == key)
    return found["numbers"] if "numbers" in found else [found["words"][at] for at in found["at"]]


def test_any_mix_begins_with_the_answer_that_rests_on_most(tmp_path):
    sweep, test = sweep_run(tmp_path, SETTINGS), range_test_run(tmp_path)
    found = page(test, sweep, train_run(tmp_path))
    assert found.answers[0].startswith("Best mean validation loss: ") and "95% interval" in found.answers[0]
    assert any("Suggested peak LR 0.123, 90% interval 0.05 … 0.2" in said for said in found.answers)
    assert any("final validation loss 0.5" in said for said in found.answers)
    assert [chart.title for chart in found.lr_charts] == [f"small/{test.name}: loss over LR"]
    assert any("one seed shows little" in note for note in found.notes)
    assert found.metric == "val_loss" and found.keys[:2] == ["optimizer.lr", "schedule.kind"]


def test_a_range_test_without_an_answer_says_why(tmp_path):
    (said,) = page(range_test_run(tmp_path, lr=None)).answers
    assert said == "No LR is suggested: the loss did not change by more than its noise."


def test_the_table_and_the_curves_are_what_is_on_disk(tmp_path):
    path = sweep_run(tmp_path, SETTINGS)
    data, trials = document(page(path)), read_trials(path)
    assert column(data, "val_loss") == [trial.values.get("val_loss") for trial in trials]
    assert column(data, "set:optimizer.lr") == [trial.settings["optimizer.lr"] for trial in trials]
    assert column(data, "status") == [trial.status for trial in trials]
    for trial, curve in zip(trials, data["series"], strict=True):
        assert floats(data, curve["train_loss"][1]).tolist() == trial.curve["train_loss"]
        known = np.isfinite(trial.curve["val_loss"])
        assert floats(data, curve["val_loss"][0]).tolist() == np.array(trial.curve["step"])[known].tolist()


def test_equal_arrays_are_kept_once():
    pool = FloatPool()
    assert pool.add(np.arange(3.0)) == pool.add(np.arange(3.0)) == [0, 3] and pool.add(np.ones(2)) == [3, 2]


def test_thinning_keeps_spikes_and_ends_and_what_broke_off():
    values = np.ones(100_000)
    values[[777, 5000]] = [50.0, np.nan]
    kept = telling(values, 500)
    assert {0, 777, 5000, 99_999} <= set(kept.tolist()) and len(kept) <= 500


def test_a_run_that_is_still_going_is_shown_as_far_as_it_is(tmp_path):
    path = train_run(tmp_path, ended=False)
    with (path / "metrics.csv").open("a") as file:
        file.write("0,30,0,0.1,0.")  # the end of the file, as the writer is at it
    found = page(path)
    assert found.answers[0] == "No answer yet: the run has not ended; 30 updates so far."
    assert any("still going, or was stopped" in note for note in found.notes) and found.trials[0][1].steps == 30
    sweep = page(sweep_run(tmp_path, SETTINGS, ended=False))
    assert len(sweep.trials) == 18 and any("has no summary yet" in note for note in sweep.notes)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("summary.json", "{half", "the summary is damaged: it is not JSON"),
        ("summary.json", '{"schema": 1, "command": "train"}', "the summary is damaged: status"),
        ("environment.json", "[]", "environment.json is damaged"),
        ("metrics.csv", "", "this is not a metrics.csv"),
        ("metrics.csv", None, "cannot be read"),
        ("config.yaml", "a: [1, 2", "the config cannot be read"),
        ("config.yaml", "future_key: 1\nname: later\n", ""),
    ],
)
def test_what_is_damaged_is_said_and_the_rest_is_shown(tmp_path, name, content, said):
    path = train_run(tmp_path)
    (path / name).unlink()
    if content is not None:
        (path / name).write_text(content)
    found = page(path)
    assert any(said in note for note in found.notes) or not said
    assert "lrtool report" in render(found)


def test_a_sweep_whose_database_is_damaged_is_shown_without_it(tmp_path):
    path = sweep_run(tmp_path, SETTINGS)
    (path / "sweep.sqlite").write_bytes(b"no database" * 100)
    found = page(path)
    assert any("cannot be read" in note for note in found.notes) and not found.trials and render(found)


def test_two_versions_of_a_run_folder(tmp_path):
    old, new = train_run(tmp_path), train_run(tmp_path, seed=1)
    summary = json.loads((old / "summary.json").read_text())
    del summary["best"]  # an older lrtool wrote less
    (old / "summary.json").write_text(json.dumps(summary))
    (new / "summary.json").write_text(json.dumps({**summary, "schema": 99}))
    found = page(old, new)
    assert len(found.runs) == 1 and any("schema 99, but this lrtool reads up to 1" in note for note in found.notes)
    with pytest.raises(UsageError, match=r"no run that can be shown.*update lrtool"):
        page(new)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("nowhere", "there is no such folder"),
        ("*", "no run folder matches"),
        ("x*", "nothing matches"),
        (".", "no conf"),
    ],
)
def test_no_runs(tmp_path, monkeypatch, pattern, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=said):
        Page.of([pattern])


def test_names_cannot_leave_their_place(tmp_path):
    evil = "</script><script>alert(1)</script> <b>\"'&${x}"
    path = train_run(tmp_path, name=evil)
    environment = json.loads((path / "environment.json").read_text())
    (path / "environment.json").write_text(json.dumps({**environment, evil: evil}))
    text = render(page(path))
    assert "alert(1)</script>" not in text and "<script>alert" not in text
    assert text.count("<script") == text.count("</script>") == 3
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1]
    assert not set("<>&") & set(data) and evil in column(json.loads(data), "group")[0]


def test_only_our_scripts_may_run_and_nothing_is_loaded(tmp_path):
    text = render(page(train_run(tmp_path)))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "unsafe" not in policy
    for script in re.findall(r"<script>(.*?)</script>", text, re.DOTALL):
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
    own = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"(src|href)=[\"'](?!#)", own) and "url(" not in own and "@import" not in own


def test_the_commands_reproduce(tmp_path):
    (recipe,) = page(train_run(tmp_path)).recipes
    assert recipe.lines[:3] == [
        "pip install lrtool==0.1.0 torch==2.10.0", "git checkout abc", "cd /home/me && lrtool train 'my config.yaml'"
    ]  # fmt: skip


def test_config_differences_are_those_that_differ(tmp_path):
    found = page(train_run(tmp_path), train_run(tmp_path, kind="constant", seed=1)).differences
    assert dict(found.rows) == {"seed": ["0", "1"], "schedule.kind": ["cosine", "constant"]}


def test_trainings_of_several_seeds_are_compared(tmp_path):
    for kind, final in (("cosine", 0.4), ("constant", 0.6)):
        for seed in range(3):
            train_run(tmp_path, kind=kind, seed=seed, final=final + 0.01 * seed)
    found = page(tmp_path / "small" / "*")
    assert found.comparison is not None and "by cosine" in found.answers[0] and len(found.runs) == 6


def test_a_360_trial_sweep_stays_small(tmp_path):
    settings = [{"optimizer.lr": float(lr)} for lr in np.geomspace(0.001, 5, 36)]
    assert len(render(page(sweep_run(tmp_path, settings, seeds=10, points=200)))) <= 3e6


LIBRARY = {"version": "6.1.0", "sha256": "b66b25aeb4df84e33199dc21694014d336d222cbd9deb0e5a7c14bd6aa0d0fd0"}


def test_the_charting_library_is_the_published_one():
    folder = files("lrtool.report.html") / "assets" / "echarts"
    content = (folder / "echarts.min.js").read_bytes()
    assert hashlib.sha256(content).hexdigest() == LIBRARY["sha256"] and LIBRARY["version"].encode() in content
    assert "Apache License" in (folder / "LICENSE").read_text() and "Apache ECharts" in (folder / "NOTICE").read_text()


def test_no_torch_and_no_matplotlib(tmp_path):
    code = (
        "import sys; from lrtool.cli.app import run; code = run(['report', sys.argv[1], '-o', sys.argv[2]]);"
        "sys.exit(code or any(name in sys.modules for name in ('torch', 'matplotlib')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(train_run(tmp_path)), str(tmp_path / "r.html")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r.html").stat().st_size > 1e6
