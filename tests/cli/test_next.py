"""What a command says to do next can be pasted."""

import shlex

import pytest

from lrtool.cli.parts.advice import Given
from lrtool.config.load import load_config

OWN_MODEL = ("model: {kind: mlp, hidden: [16]}", "model: {use: '../code/m.py:Net'}")
MODEL = """\
from torch import nn


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
"""
SMALL = ("--set", "range_test.probe_steps=0", "--quiet")


def advised(out):
    """The words of the advice, without the command's name."""
    (line,) = [line for line in out.splitlines() if line.startswith("next: ")]
    command, *words = shlex.split(line.removeprefix("next: "))
    assert command == "lrtool"
    return words


def test_the_advice_of_a_range_test_trains_with_the_same_options(cli, config, tmp_path):
    code_folder = tmp_path.parent / "code"
    code_folder.mkdir(exist_ok=True)
    (code_folder / "m.py").write_text(MODEL)
    given = ("--set", "train={duration: 12}", "--set", "optimizer.lr=0.2", "--seed", 5, "--output", "my out",
             "--allow-import", f"{code_folder}/")  # fmt: skip
    ramp = ("--set", "range_test.steps=100", "--set", "range_test.seeds=3")
    code, out, err = cli("range-test", config([OWN_MODEL]), *given, *SMALL, *ramp)
    assert code == 0, err
    words = advised(out)
    assert "optimizer.lr=0.2" not in words and not any("range_test" in word for word in words)
    code, out, err = cli(*words, "--quiet")
    assert code == 0 and "(suggested by range-test" in out and "\nfinished after 12 updates" in out, err
    resolved = load_config(tmp_path / "my out/small/latest/config.yaml")
    assert resolved.seed == 5


def test_without_a_config_the_advice_takes_the_one_of_the_run(tmp_path):
    given = Given(None, ["seed=3"], 4, None, tmp_path)
    run = tmp_path / "run"
    assert given.training(run) == f"next: lrtool train {run}/config.yaml --lr-from {run} --output {tmp_path}"


def test_the_advice_of_a_tune_names_the_schedule_that_won(cli, config, tmp_path):
    path = config([("duration: 3ep", "duration: 10ep")])
    code, out, _ = cli("tune", path, "--schedules", "constant,cosine", "--budget", "60", "--quiet")
    assert code == 0
    (schedule,) = [word for word in advised(out) if word.startswith("schedule=")]
    assert schedule in ("schedule=constant", "schedule=cosine")
    code, out, err = cli(*advised(out), "--quiet")
    assert code == 0 and load_config(tmp_path / "outputs/small/latest/config.yaml").schedule.kind in schedule, err


def test_a_tuned_config_is_written_with_its_comments_and_trains(cli, config, tmp_path):
    # Long enough that LRs differ by far more than seeds do, whichever trials the machine's speed allows.
    guess = ("optimizer: {kind: sgd, lr: 0.3, momentum: 0.9}", "optimizer: {kind: sgd, lr: 0.3}  # a guess")
    path = config([guess, ("duration: 3ep", "duration: 20ep")])
    code, out, _ = cli("tune", path, "--budget", "10", "--write", "t.yaml", "--seed", 2, "--quiet")
    assert code == 0 and "written: t.yaml" in out and advised(out) == ["train", "t.yaml"]
    text = (tmp_path / "t.yaml").read_text()
    tuned = load_config(tmp_path / "t.yaml")
    assert "# a guess" in text and tuned.seed == 2 and tuned.optimizer.lr != 0.3
    assert cli(*advised(out), "--quiet")[0] == 0
    # The LR of the run is the one that was written.
    # A folder of runs stands for the newest of them that suggests one.
    run = next(folder for folder in (tmp_path / "outputs/small").iterdir() if folder.name.endswith("tune"))
    for given in (run, "outputs/small"):
        assert cli("train", path, "--lr-from", given, "--quiet")[0] == 0
        trained = load_config(tmp_path / "outputs/small/latest/config.yaml")
        # The config has the digits that are shown; the run's own are exact.
        assert trained.optimizer.lr == pytest.approx(tuned.optimizer.lr, rel=5e-3)


@pytest.mark.parametrize(("place", "words"), [("nowhere/t.yaml", "there is no folder nowhere"), (".", "is a folder")])
def test_a_place_that_cannot_be_written_is_refused_before_tuning(cli, config, tmp_path, place, words):
    code, _, err = cli("tune", config(), "--write", place, "--quiet")
    assert code == 2 and "--write" in err and words in err
    assert not (tmp_path / "outputs").exists()


def test_where_no_lr_is_found_nothing_is_written_and_that_is_said(cli, config, tmp_path):
    frozen = [("{kind: sgd, lr: 0.3, momentum: 0.9}", "{kind: sgd, lr: 0.3, groups: [{match: '*', lr_scale: 0.0}]}")]
    code, out, _ = cli("tune", config(frozen), "--budget", "60", "--write", "t.yaml", "--quiet")
    assert code == 0 and "not written: t.yaml" in out and "next:" not in out
    assert not (tmp_path / "t.yaml").exists()
