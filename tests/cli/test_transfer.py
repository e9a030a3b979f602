"""`lrtool transfer --points`: a law through points of the user's own, and what is said where there is none."""

import json
import subprocess
import sys

import numpy as np
import pytest

from lrtool.cli.app import run

LRS = np.geomspace(1e-3, 1, 11)


def table(law=lambda batch: 0.01 * batch**0.5, batches=(16, 32, 64, 128), header="batch_size,lr,loss"):
    rows = [f"{b},{lr:.6g},{1 + 0.02 * np.log(lr / law(b)) ** 2:.9g}" for b in batches for lr in LRS]
    return "\n".join([header, *rows]) + "\n"


@pytest.fixture
def points(tmp_path):
    """Writes a table of points."""

    def points(text=None):
        path = tmp_path / "mine.csv"
        path.write_text(table() if text is None else text)
        return path

    return points


def test_points_give_an_lr_with_its_interval_and_law(cli, points, tmp_path):
    code, out, err = cli("transfer", "--points", points(), "--to", "batch_size=512", "--json", "-o", "out")
    document = json.loads(out)
    assert code == 0 and err == "" and document["command"] == "transfer" and document["status"] == "finished"
    assert document["interval"][0] < 0.226 < document["interval"][1]
    assert document["lower_lr"] <= document["interval"][0] and document["interval"][1] <= document["upper_lr"]
    assert document["law"]["exponents"]["batch_size"]["value"] == pytest.approx(0.5, abs=0.05)
    assert document["reason"] == "" and document["steps"] == 0 and document["interpolated"] is False
    assert document["methods"]["sqrt_batch"]["lr"] == pytest.approx(0.226, rel=0.2)
    folder = tmp_path / document["folder"]
    names = {path.name for path in folder.iterdir()}
    assert {"config.yaml", "summary.json", "environment.json", "log.txt", "points.csv", "transfer.png", "transfer.svg"
            } <= names  # fmt: skip


def test_the_law_is_said_in_words(cli, points):
    code, out, _ = cli("transfer", "--points", points(), "--to", "batch_size=512")
    assert code == 0 and "best LR ∝ batch_size^0.5" in out and "self-test passed" in out and "extrapolated" in out


def test_a_refusal_is_a_result_without_an_lr(cli, points):
    code, out, _ = cli("transfer", "--points", points(table(batches=(16, 32))), "--to", "batch_size=512", "--json")
    document = json.loads(out)
    assert code == 0 and document["suggested_lr"] is None and document["interval"] is None
    assert "2 values" in document["reason"] and document["status"] == "finished"


def test_where_the_interval_is_too_wide_there_is_a_best_guess(cli, points):
    """A steep loss, and a target far away: an LR is known, but not well enough."""
    rng = np.random.default_rng(0)
    rows = [f"{b},{lr:.6g},{np.exp(0.6 * np.log(lr / (0.01 * (b / 16) ** 0.5 * wrong)) ** 2) + 0.01:.9g}"
            for b, wrong in zip((16, 32, 64), np.exp(0.2 * rng.normal(size=3)), strict=True) for lr in LRS]  # fmt: skip
    path = points("\n".join(["batch_size,lr,loss", *rows]) + "\n")
    code, out, _ = cli("transfer", "--points", path, "--to", "batch_size=4096", "--json")
    document = json.loads(out)
    guess = document["guess"]
    assert code == 0 and document["suggested_lr"] is None and document["enough_budget"] is None
    assert guess["interval"][0] < guess["lr"] < guess["interval"][1] and guess["expected_risk"] > 0.1
    assert any("best guess all the same" in each for each in document["details"])


def test_points_that_all_diverged(cli, points):
    text = "batch_size,lr,loss\n" + "".join(f"{b},{lr},nan\n" for b in (1, 2, 4) for lr in (1, 2, 3))
    code, out, _ = cli("transfer", "--points", points(text), "--to", "batch_size=8")
    assert code == 3 and "every point diverged" in out


def test_a_training_takes_the_lr(cli, points, config):
    code, out, _ = cli("transfer", config(), "--points", points(), "--to", "batch_size=512", "-o", "out")
    assert code == 0 and "next: lrtool train" in out and "--lr-from out/small/" in out
    code, _, err = cli("train", config(), "--lr-from", "out/small/latest", "--smoke", "-q")
    assert code == 0, err


def test_inside_the_points_it_is_interpolated(cli, points):
    code, out, _ = cli("transfer", "--points", points(), "--to", "batch_size=48", "--json")
    document = json.loads(out)
    assert code == 0 and document["interpolated"] is True and "inside what was measured" in str(document["details"])


@pytest.mark.parametrize(
    ("text", "to", "words"),
    [
        (None, ["--to", "batch=512"], ["'batch'", "batch_size"]),
        (None, ["--to", "batch_size=big"], ["'big'", "numbers above 0"]),
        (None, ["--to", "batch_size=-1"], ["'-1'"]),
        (None, ["--to", "batch_size"], ["KEY=VALUE"]),
        (None, [], ["no target"]),
        (None, ["--to", "batch_size=1", "--to", "batch_size=2"], ["two targets"]),
        (None, ["--to", "batch_size=512", "--budget", "0.25x"], ["cost nothing"]),
        ("", ["--to", "a=1"], ["empty"]),
        ("a,lr,loss\n", ["--to", "a=1"], ["no points"]),
        ("a,lr\n1,2\n", ["--to", "a=1"], ["no column loss"]),
        ("a,LR,loss\n1,2,3\n", ["--to", "a=1"], ["no column lr", "'LR'"]),
        ("a,a,lr,loss\n1,1,2,3\n", ["--to", "a=1"], ["twice"]),
        ("a,lr,loss\nadam,0.1,3\n", ["--to", "a=1"], ["mine.csv:2:1", "'adam'"]),
        ("a,lr,loss\n1,0,3\n", ["--to", "a=1"], ["mine.csv:2:2", "above 0"]),
        ("a,lr,loss\n1,0.1,bad\n", ["--to", "a=1"], ["mine.csv:2:3", "'bad'"]),
        ("a,lr,loss\n1,0.1\n", ["--to", "a=1"], ["mine.csv:2:1", "3 entries"]),
        (table().replace("batch_size", "a,batch_size", 1).replace("\n16,", "\n1,16,").replace("\n32,", "\n2,32,")
         .replace("\n64,", "\n3,64,").replace("\n128,", "\n1,128,"), ["--to", "a=1"], ["batch_size moves"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(cli, points, text, to, words):
    code, out, err = cli("transfer", "--points", points(text), *to)
    assert code == 2 and out == "" and all(word in err for word in words), err


def test_a_file_that_is_missing(cli):
    code, _, err = cli("transfer", "--points", "nowhere.csv", "--to", "a=1")
    assert code == 2 and "nowhere.csv" in err


def test_it_needs_no_torch(points, tmp_path):
    path = points()
    code = (
        "import sys; from lrtool.cli.app import run; "
        f"code = run(['transfer', '--points', {str(path)!r}, '--to', 'batch_size=512',"
        f" '-o', {str(tmp_path / 'out')!r}, '-q']); raise SystemExit(code or 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_a_run_is_loaded_and_plotted_again(points, tmp_path):
    import lrtool

    made = lrtool.transfer(points=points(), to={"batch_size": 512}, output=tmp_path / "out")
    again = lrtool.load(made.folder)
    assert again.suggested_lr == made.suggested_lr and again.law == made.law and len(again.rows()) == 4
    assert again.plot() is not None
    assert run(["runs", str(tmp_path / "out"), "-q"]) == 0
