"""`lrtool theory`: what it prints, what it writes, what it refuses."""

import json
import subprocess
import sys

import numpy as np
import pytest

from lrtool.theory.laws import MultiPower
from lrtool.theory.refine import refined_schedule
from tests.theory.laws.made_up import curve, three


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
    code, out, _ = cli("theory", "bound", "out/small", "linear", "--steps", "100", "--json")
    document = json.loads(out)
    assert code == 0 and document["grad_norms"].startswith("measured")
    assert {row["steps"] for row in document["schedules"]} == {100}
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
    write_runs(tmp_path)
    code = (
        "import sys; from lrtool.cli.app import run;"
        "assert run(['theory', 'bound', 'linear', 'cosine', '-o', 'b']) == 0;"
        "assert run(['theory', 'predict', 'r0.csv', 'r1.csv', 'r2.csv', '-c', 'linear', '-n', '900']) == 0;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60, capture_output=True)


def write_runs(folder, runs=None):
    """CSV files r0.csv, r1.csv, …, as runs that obey the multi-power law; gives their names."""
    names = []
    for number, each in enumerate(three(MultiPower) if runs is None else runs):
        rows = [
            f"{step},{each.rates[min(step, len(each.rates) - 1)]},{loss}"
            for step, loss in zip(each.steps, each.losses, strict=True)
        ]
        (folder / f"r{number}.csv").write_text("\n".join(["step,lr,loss", *rows]) + "\n")
        names.append(f"r{number}.csv")
    return names


def test_predict_a_schedule_and_the_best_one(cli, tmp_path):
    runs = write_runs(tmp_path)
    code, out, err = cli("theory", "predict", *runs, "--config", "linear", "--steps", 1500, "--optimize", "--json")
    found = json.loads(out)
    assert code == 0 and found["law"] == "multi-power law", err
    (row,) = found["predictions"]
    true = curve(MultiPower, "linear", noise=0.0).losses[-1]
    assert row["low"] < true < row["high"] and row["loss"] == pytest.approx(true, rel=0.01)
    assert found["optimized"]["loss"] <= row["loss"] + 1e-3
    folder = tmp_path / found["folder"]
    assert {"prediction.png", "prediction.svg", "prediction.csv", "schedule.csv"} <= {f.name for f in folder.iterdir()}
    factors = np.loadtxt(folder / "schedule.csv", delimiter=",", skiprows=1)
    assert factors.shape == (1500, 2) and 0 <= factors[:, 1].min() <= factors[:, 1].max() <= 1


def test_the_best_schedule_of_a_config_trains(cli, config, tmp_path):
    runs = write_runs(tmp_path)
    code, out, err = cli("theory", "predict", *runs, "-c", config(), "--steps-per-epoch", 8, "--optimize", "-q")
    assert code == 0, err
    line = next(line for line in out.splitlines() if line.startswith("train with the best schedule: "))
    words = line.partition("lrtool ")[2].split()
    assert cli(*words, "-q", "-o", "out")[0] == 0


def test_predict_compares_with_what_was_measured(cli, tmp_path):
    *runs, test = write_runs(tmp_path, [*three(MultiPower), curve(MultiPower, "cosine", 4500)])
    code, out, _ = cli("theory", "predict", *runs, "-c", test, "--json")
    (row,) = json.loads(out)["predictions"]
    assert code == 0 and row["r2"] > 0.99 and row["low"] < row["measured_loss"] < row["high"]
    assert "times the LR of the longest run" in " ".join(json.loads(out)["notes"])


def test_backtest_leaves_out_each_run_or_takes_test_runs(cli, tmp_path):
    runs = write_runs(tmp_path)
    code, out, _ = cli("theory", "backtest", *runs, "--json")
    found = json.loads(out)
    assert code == 0 and found["law"] == "multi-power law" and found["how"] == "leave-one-out"
    assert {(row["law"], row["run"]) for row in found["runs"]} == {
        (law, name) for law in ("momentum law", "multi-power law") for name in ("r0", "r1", "r2")
    }
    *runs, test = write_runs(tmp_path, [*three(MultiPower), curve(MultiPower, "linear")])
    code, out, _ = cli("theory", "backtest", *runs, "--test", test)
    assert code == 0 and "over 1 test runs" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "two finished runs under different schedules"),
        (["r0.csv"], "but got 1"),
        (["r0.csv", "r0.csv"], "same schedule"),
        (["r0.csv", "r1.csv", "nowhere.csv"], "no such file or folder"),
        (["r0.csv", "r1.csv", "-c", "coisne", "-n", "100"], "did you mean 'cosine'"),
        (["r0.csv", "r1.csv", "-c", "cosine"], "write for example --steps"),
        (["r0.csv", "r1.csv", "--optimize"], "add --config TARGET"),
        (["r0.csv", "r1.csv", "-c", "t.csv"], "there is no such file"),
    ],
)
def test_predict_refuses(cli, tmp_path, arguments, said):
    write_runs(tmp_path)
    code, _, err = cli("theory", "predict", *arguments)
    assert code == 2 and said in err and not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(("optimizer", "norm", "column"), [("sgd", "l2", "grad_norm"), ("adamw", "l1", "grad_norm_l1")])
def test_refine_writes_a_schedule_that_trains(cli, config, tmp_path, optimizer, norm, column):
    replaced = [("optimizer: {kind: sgd, lr: 0.3, momentum: 0.9}", f"optimizer: {{kind: {optimizer}, lr: 0.01}}")]
    assert cli("train", config(replaced), "-o", "out", "-q", "--set", "train.grad_norm=true")[0] == 0
    code, out, err = cli("theory", "refine", "out/small", "--json")
    found = json.loads(out)
    assert code == 0 and found["norm"] == norm and found["updates"] == 24, err
    metrics = np.genfromtxt(tmp_path / "out/small/latest/metrics.csv", delimiter=",", names=True)
    expected = refined_schedule(metrics[column], {"l2": 2, "l1": 1}[norm])
    table = np.loadtxt(found["schedule"], delimiter=",", skiprows=1)
    assert table[:, 1] == pytest.approx(expected) and (metrics["grad_norm"] <= metrics["grad_norm_l1"]).all()
    folder = tmp_path / found["folder"]
    assert {"refined.png", "refined.svg", "schedule.csv", "config.yaml"} <= {each.name for each in folder.iterdir()}
    code, _, err = cli("train", folder / "config.yaml", "-o", "again", "-q")
    assert code == 0, err
    trained = np.genfromtxt(tmp_path / "again/small/latest/metrics.csv", delimiter=",", names=True)
    assert trained["lr"] == pytest.approx(0.01 * expected)


def test_refine_refuses(cli, config, tmp_path):
    assert cli("train", config(), "-o", "out", "-q")[0] == 0
    for arguments, said in [
        (["out/small"], "no gradient norms; train again with --set train.grad_norm=true"),
        (["nowhere"], "there is no such folder"),
        (["out/small", "--norm", "l3"], "write l1 or l2"),
    ]:
        code, _, err = cli("theory", "refine", *arguments)
        assert code == 2 and said in err
    short = ("--set", "train.grad_norm=true", "--set", "train.duration=10", "--set", "train.eval_every=0")
    assert cli("train", config(), "-o", "out", "-q", *short)[0] == 0
    code, _, err = cli("theory", "refine", "out/small")
    assert code == 2 and "10 updates shows no course" in err


def test_a_kind_is_as_long_as_the_config_it_is_compared_with(cli, config):
    code, out, _ = cli("theory", "bound", "linear", config(), "constant", "--steps-per-epoch", 8, "--json")
    assert code == 0 and {row["steps"] for row in json.loads(out)["schedules"]} == {24}
    assert json.loads(out)["first"] == "linear"
