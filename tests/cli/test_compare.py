import csv
import gc
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = "name: small\nseed: {seed}\nmodel: {{kind: linear}}\ndata: {{kind: digits}}\nschedule: {kind}\n" + (
    "optimizer: {{kind: sgd, lr: 0.1}}\n"
)
FINALS = {"cosine": [0.50, 0.52, 0.47, 0.51], "constant": [0.60, 0.63, 0.56, 0.61], "step": [0.51, 0.49, 0.50, 0.50]}


@pytest.fixture
def runs(tmp_path):
    """Run folders of three schedules and four seeds, below out/small."""
    from lrtool.runs.folder import RunFolder
    from lrtool.runs.summary import summary

    for kind, finals in FINALS.items():
        for seed, final in enumerate(finals):
            folder = RunFolder.create(tmp_path / "out", "small", "train")
            spec = "{kind: step, gamma: 0.5}" if kind == "step" else kind
            folder.write_text("config.yaml", CONFIG.format(seed=seed, kind=spec))
            with folder.metrics(("val_loss",)) as writer:
                writer.write(
                    {"trial": 0, "step": t, "epoch": 0, "lr": 0.1, "train_loss": 1, "seconds": 1,
                     "val_loss": final + 9 - t}
                    for t in range(10)
                )  # fmt: skip
            final = {"step": 10, "train_loss": 1.0, "val_loss": final, "val_accuracy": 1 - final}
            document = summary("train", "finished", reason="", steps=10, seconds=10.0, config_hash="0", final=final)
            folder.write_json("summary.json", document)
    return "out/small/*-train*"


def test_a_table_a_verdict_and_plots(cli, runs, tmp_path):
    code, out, err = cli("compare", runs, "--output", "plots")
    assert code == 0 and err == "" and "\x1b" not in out
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["cosine", "step", "constant"] or lines[1].startswith("step")
    assert "cannot tell" in out and "seeds would be needed" in out
    for name in ("curves", "final", "steps_to_target"):
        assert (tmp_path / "plots" / f"{name}.png").exists() and (tmp_path / "plots" / f"{name}.svg").exists()


def test_json_and_csv_say_the_same(cli, runs, tmp_path):
    code, out, _ = cli("compare", runs, "--json", "--csv", "table.csv", "--metric", "accuracy")
    document = json.loads(out)
    assert code == 0 and document["metric"] == "val_accuracy" and document["higher_is_better"]
    rows = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert [row["variant"] for row in rows] == [row["variant"] for row in document["variants"]]
    assert float(rows[-1]["p_holm"]) == document["variants"][-1]["p_holm"] < 0.05


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--require", "cosine better than constant"], 0, ""),
        (["--require", "constant better than cosine"], 6, "constant is worse than cosine: difference +20%"),
        (["--require", "cosine better than step"], 6, "not shown to be better than step: 4 seeds are too few"),
        (["--max-regression", "30%"], 0, ""),
        (["--max-regression", "5%"], 6, "constant against cosine: a regression of more than 5% is not ruled out"),
        (["--max-regression", "2%", "--baseline", "constant"], 0, ""),
        (["--require", "cosin better than step"], 2, "did you mean 'cosine'"),
        (["--require", "cosine beats step"], 2, "write --require 'cosine better than constant'"),
        (["--max-regression", "2"], 2, "write --max-regression 2%"),
        (["--metric", "wobble"], 2, "every run has: train_loss, val_accuracy, val_loss"),
        (["--direction", "up"], 2, "expected higher or lower"),
        (["--statistic", "mode"], 2, "expected mean or median, but got 'mode'"),
        (["--statistic", "median", "--require", "cosine better than constant"], 6, "4 seeds are too few for a differ"),
        (["--statistic", "median", "--max-regression", "30%"], 6, "30% is not ruled out: 4 seeds are too few"),
    ],
)
def test_scripts_can_require(cli, runs, options, code, said):
    got, _, err = cli("compare", runs, *options)
    assert got == code and said in err and bool(err) == bool(code)


def test_an_unmet_requirement_is_in_the_json_too(cli, runs):
    code, out, _ = cli("compare", runs, "--json", "--require", "step better than cosine")
    assert code == 6 and len(json.loads(out)["unmet"]) == 1


def test_a_folder_without_runs_is_refused(cli, tmp_path):
    code, _, err = cli("compare", "nothing")
    assert code == 2 and "there is no such folder" in err
    code, _, err = cli("compare", "nothing/*")
    assert code == 2 and "nothing matches" in err


def test_the_help_explains_every_column(cli, runs):
    document = json.loads(cli("compare", runs, "--json")[1])
    said = cli("compare", "--help")[1].partition("Columns of --csv")[2].partition("Options:")[0]
    columns = re.findall(r"[a-z_]+", said)
    assert set(document["variants"][0]) <= set(columns)


def test_the_garbage_collector_is_left_as_it_was(cli, runs):
    assert gc.isenabled()
    for pattern in (runs, "nothing"):
        cli("compare", pattern)
        assert gc.isenabled()


def test_it_needs_no_torch(runs, tmp_path):
    program = (
        "import sys; sys.modules['torch'] = None; from lrtool.cli.app import run; "
        f"sys.exit(run(['compare', {runs!r}, '--output', 'plots']))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_mean_accuracy_has_an_interval_within_its_bounds(cli, runs):
    document = json.loads(cli("compare", runs, "--json", "--metric", "accuracy")[1])
    for row in document["variants"]:
        assert 0 < row["low"] < row["mean"] < row["high"] < 1
        # Further from the nearer bound on its own side.
        assert (row["high"] - row["mean"] < row["mean"] - row["low"]) == (row["mean"] > 0.5)


def test_medians_have_the_same_columns(cli, runs):
    by_mean = json.loads(cli("compare", runs, "--json")[1])
    by_median = json.loads(cli("compare", runs, "--json", "--statistic", "median")[1])
    assert by_mean["statistic"] == "mean" and by_median["statistic"] == "median"
    assert by_mean["variants"][0].keys() == by_median["variants"][0].keys()
    assert by_median["variants"][0]["median_low"] is None and by_median["variants"][1]["p_holm"] > 0.05


def test_a_loss_that_is_named_is_the_same_as_the_default(cli, config):
    small = config([("duration: 3ep", "duration: 4")])
    assert cli("train", small, "-o", "out/a", "-q")[0] == 0
    assert cli("train", small, "-o", "out/b", "-q", "--set", "loss=cross_entropy", "--set", "optimizer.lr=0.02")[0] == 0
    Path("s.yaml").write_text("base: c.yaml\ngrid: {optimizer.lr: [0.01, 0.03]}\n")
    assert cli("sweep", "s.yaml", "-o", "out/c", "-q")[0] == 0
    code, out, err = cli("compare", "out/a/*/*-train", "out/b/*/*-train", "out/c/*/*-sweep", "--json")
    assert code == 0, err
    assert len(json.loads(out)["variants"]) == 4
    named = ("--set", "loss={kind: cross_entropy, label_smoothing: 0.1}")
    assert cli("train", small, "-o", "out/d", "-q", *named)[0] == 0
    code, _, err = cli("compare", "out/a/*/*-train", "out/d/*/*-train")
    assert code == 2 and "loss.label_smoothing" in err
