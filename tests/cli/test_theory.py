"""`lrtool theory`: what it prints, what it writes, what it refuses."""

import json
import subprocess
import sys

import pytest


def rows_of(out):
    return {row["name"]: row for row in json.loads(out)["schedules"]}


def test_bound_ranks_and_compares_best_lrs(cli):
    code, out, _ = cli("theory", "bound", "linear", "cosine", "constant", "--steps", 400, "--json")
    rows = rows_of(out)
    assert code == 0 and list(rows) == ["linear", "cosine", "constant"]
    assert [row["rank"] for row in rows.values()] == [1, 2, 3]
    assert rows["linear"]["lr_ratio"] == 1 and rows["constant"]["lr_ratio"] == pytest.approx(
        0.01818 / 0.04956, rel=1e-3
    )
    code, out, _ = cli("theory", "bound", "constant", "linear", "--steps", 400)
    assert code == 0 and "0.049563" in out and "linear has the least bound; that of constant is 1.37 times" in out


def test_bound_compares_lengths(cli):
    """Of a constant LR the best falls nearly as 1/√T."""
    code, out, _ = cli("theory", "bound", "constant", "-n", 1000, "-n", 4000, "--json")
    rows = rows_of(out)
    assert code == 0 and rows["constant, 4000 updates"]["lr_ratio"] == pytest.approx(0.48, abs=0.02)
    assert rows["constant, 1000 updates"]["lr_ratio"] == 1


def test_bound_takes_a_config_and_writes_a_plot(cli, config, tmp_path):
    code, out, err = cli("theory", "bound", config(), "linear", "--steps-per-epoch", 8, "-o", tmp_path / "b")
    assert code == 0 and " 24 " in out, err
    assert {each.name for each in (tmp_path / "b").iterdir()} == {"bound.png", "bound.svg", "bound.csv"}
    assert (tmp_path / "b/bound.csv").read_text().startswith("rank,name,steps,gamma,omega,lr_ratio,omega_ratio\n1,")


def test_bound_takes_the_norms_of_a_run(cli, config):
    assert cli("train", config(), "-o", "out", "-q", "--set", "train.grad_norm=true")[0] == 0
    code, out, _ = cli("theory", "bound", "out/small", "linear", "--json")
    document = json.loads(out)
    assert code == 0 and document["grad_norms"].startswith("measured")
    assert {row["steps"] for row in document["schedules"]} == {24, 1000}
    assert "stretched" in document["notes"][-1]
    plain = json.loads(cli("theory", "bound", "linear", "--json")[1])["schedules"][0]
    assert {row["name"]: row for row in document["schedules"]}["linear"]["gamma"] != plain["gamma"]


def test_bound_says_that_a_run_has_no_norms(cli, config):
    assert cli("train", config(), "-o", "out", "-q")[0] == 0
    code, out, _ = cli("theory", "bound", "out/small", "--json")
    assert code == 0 and "has logged none" in json.loads(out)["grad_norms"]
    code, _, err = cli("theory", "bound", "linear", "--grad-norms", "out/small")
    assert code == 2 and "no gradient norms; train again with --set train.grad_norm=true" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no schedule is given"),
        (["coisne"], "did you mean 'cosine'"),
        (["linear", "--distance", "0"], "a distance is a finite number above 0"),
        (["linear", "--grad-norm", "0"], "every gradient norm"),
        (["linear", "start=0", "final=0"], "somewhere above 0"),
        (["linear", "--grad-norms", "nowhere"], "there is no folder nowhere"),
        (["linear", "--steps", "0"], "at least 1 update"),
    ],
)
def test_bound_refuses(cli, arguments, said):
    code, _, err = cli("theory", "bound", *arguments)
    assert code == 2 and said in err


def test_one_update_is_defined(cli):
    code, out, _ = cli("theory", "bound", "constant", "--steps", 1, "--json")
    row = json.loads(out)["schedules"][0]
    assert code == 0 and (row["gamma"], row["omega"]) == (1, 1)


def test_torch_stays_out(tmp_path):
    code = (
        "import sys; from lrtool.cli.app import run;"
        "assert run(['theory', 'bound', 'linear', 'cosine', '-o', 'b']) == 0; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60, capture_output=True)
