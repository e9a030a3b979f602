"""`train --extend` and `--branch`: longer runs and other endings, from what was trained already."""

from pathlib import Path

import pytest

WSD = ("schedule: {kind: one_cycle}", "schedule: {kind: wsd, warmup: 10%}")
LATEST = Path("outputs/small/latest")


pytestmark = pytest.mark.usefixtures("undrawn")


def trained(cli, *arguments):
    """Train in a folder of its own; gives that and what was said."""
    code, out, err = cli("train", *arguments, "--quiet")
    assert code == 0, err
    return LATEST.resolve(), out


def result(run):
    """The metrics but for the seconds, and the best weights."""
    rows = [line.rpartition(",")[0] for line in (run / "metrics.csv").read_text().splitlines()]
    return rows, (run / "checkpoints/best.safetensors").read_bytes()


def contents(run):
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["wsd", "constant"])
def test_an_extended_run_equals_the_longer_one(cli, config, kind):
    path = config([(WSD[0], WSD[1].replace("wsd", kind))])
    run, _ = trained(cli, path)
    before = contents(run)
    longer, out = trained(cli, "--extend", "3x", run)
    assert "exactly as a run of 72 updates would have" in out and "damaged" not in out
    assert contents(run) == before, "the run that is extended stays as it is"
    # 10% of 24 updates are 2, and stay so many.
    anew, _ = trained(cli, path, "--set", "train.duration=9ep", "--set", "schedule.warmup=2")
    assert result(longer) == result(anew)


def test_a_run_can_be_extended_again_and_resumed(cli, config):
    run, _ = trained(cli, config([WSD]))
    twice, _ = trained(cli, "--extend", "2x", run)
    code, out, _ = cli("train", "--resume", twice)
    assert code == 0 and out.startswith("nothing to do")
    four, _ = trained(cli, "--extend", "12ep", twice)
    at_once, _ = trained(cli, "--extend", "4x", run)
    assert result(four) == result(at_once)


def test_what_has_decayed_is_warmed_up_again_and_its_price_said(cli, config):
    run, _ = trained(cli, config([(WSD[0], "schedule: {kind: cosine}")]))
    longer, out = trained(cli, "--extend", "2x", run)
    assert "warmed up again from update 24 on" in out and "times that of one run of 48 updates" in out
    rows = [line.split(",") for line in (longer / "metrics.csv").read_text().splitlines()]
    lrs = [float(row[rows[0].index("lr")]) for row in rows[1:]]
    assert len(lrs) == 48 and lrs[23] < 0.01 < 0.29 < max(lrs[24:27]) and lrs[-1] < 0.01


def test_a_decay_branches_off_where_the_lr_was_constant(cli, config):
    run, _ = trained(cli, config([WSD]))
    branch, out = trained(cli, "--branch", run, "--set", "schedule.decay=12")
    assert "decays over 12 updates from update 20 on" in out
    anew, _ = trained(cli, config([WSD]), "--set", "train.duration=32", "--set", "schedule.decay=12",
                      "--set", "schedule.warmup=2")  # fmt: skip
    assert result(branch) == result(anew)
    constant, _ = trained(cli, config([(WSD[0], "schedule: {kind: constant}")]))
    assert "decays over 5 updates from update 24 on" in trained(cli, "--branch", constant)[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--extend", "1x", LATEST], "the run has 24"),
        (["--extend", "0", LATEST], "--extend"),
        (["--extend", "soon", LATEST], "write 3x"),
        (["--extend", "nanx", LATEST], "--extend"),
        (["--extend", "2x", "c.yaml"], "give its folder"),
        (["--extend", "2x", LATEST, "--seed", "1"], "as it was configured"),
        (["--extend", "2x", LATEST, "--at", "3"], "--at"),
        (["--branch", LATEST, "--at", "7"], "choose one of: 20, 24"),
        (["--branch", LATEST, "--at", "24"], "already begun to fall"),
        (["c.yaml", "--at", "7"], "--branch"),
        (["--extend", "2x", LATEST, "--set", "optimizer.momentum=0"], "optimizer.momentum"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(cli, config, arguments, said):
    trained(cli, config([WSD]))
    before = contents(Path("outputs"))
    code, _, err = cli("train", *arguments)
    assert code == 2 and said in err and contents(Path("outputs")) == before


def test_other_data_are_noticed(cli, config, tmp_path):
    (tmp_path / "d.csv").write_text("a,b,y\n" + "".join(f"{i % 7},{i % 5},{i % 2}\n" for i in range(60)))
    data = ("{kind: spirals, samples: 240, batch_size: 24}", "{kind: csv, path: d.csv, target: y, batch_size: 16}")
    run, _ = trained(cli, config([WSD, data]))
    (tmp_path / "d.csv").write_text("a,b,y\n" + "".join(f"{i % 7},{i % 3},{i % 2}\n" for i in range(60)))
    code, _, err = cli("train", "--extend", "2x", run)
    assert code == 2 and "the training data" in err and "--force" in err
    assert "gone on with --force though changed" in trained(cli, "--extend", "2x", run, "--force")[1]


def test_other_code_is_noticed(cli, config, tmp_path):
    code = (
        "from torch import nn\n\n\ndef net(width):\n"
        "    return nn.Sequential(nn.Linear(2, width), nn.%s(), nn.Linear(width, 2))\n"
    )
    model = ("{kind: mlp, hidden: [16]}", "{use: 'm.py:net', args: {width: 8}}")
    run, _ = trained(cli, config([WSD, model], m__py=code % "Tanh"))
    (tmp_path / "m.py").write_text(code % "ReLU")
    for how in ("--extend", "2x", run), ("--branch", run):
        status, _, err = cli("train", *how)
        assert status == 2 and "m.py" in err and "--force" in err


def test_a_schedule_that_keeps_no_plateau_has_nothing_to_branch_off(cli, config):
    run, _ = trained(cli, config())
    code, _, err = cli("train", "--branch", run)
    assert code == 2 and "one_cycle" in err and "--extend" in err
