import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from lrtool.runs.sweep.store import FILE, SweepStore, read_trials

SWEEP = "base: c.yaml\ngrid: {schedule: [cosine, constant], optimizer.lr: [0.1, 0.3], seed: 2}\n"


@pytest.fixture
def sweep(config, tmp_path):
    """Writes the small config and a sweep beside it."""
    config([("duration: 3ep", "duration: 10")])

    def sweep(text=SWEEP):
        (tmp_path / "s.yaml").write_text(text)
        return tmp_path / "s.yaml"

    return sweep


def test_a_sweep_shows_its_leaders_and_leaves_a_run_folder(cli, sweep, tmp_path):
    code, out, err = cli("sweep", sweep(), "--output", "out")
    assert code == 0 and "8 trials: 8 finished" in out and "mean val_loss" in out
    assert "schedule=cosine, optimizer.lr=0.3" in out and "lrtool compare" in out
    assert "\x1b" not in out + err and "s: 8/8 trials" in err
    assert len(read_trials(tmp_path / "out/s/latest")) == 8


def test_a_sweep_ends_with_the_verdict_that_compare_gives(cli, sweep):
    code, out, _ = cli("sweep", sweep(), "--output", "out", "--quiet")
    again = cli("compare", "out/s/latest")[1]
    assert code == 0 and out.endswith(again) and "P(better)" in again
    assert "apart" in again or "best" in again.split("\n\n")[1]
    code, out, _ = cli("sweep", sweep(), "--output", "out", "--json")
    assert [row["variant"] for row in json.loads(out)["comparison"]["variants"]] in (
        ["cosine", "constant"], ["constant", "cosine"]
    )  # fmt: skip


def test_a_very_large_sweep_is_only_compared_when_asked(cli, sweep, monkeypatch):
    monkeypatch.setattr("lrtool.cli.sweep._MOST_COMPARED", 7)
    code, out, _ = cli("sweep", sweep(), "--output", "out", "--quiet")
    assert code == 0 and "8 trials: 8 finished" in out and "P(better)" not in out


@pytest.mark.parametrize("text", ["base: c.yaml\ngrid: {schedule: [cosine, constant]}\n", "base: c.yaml\nseeds: 2\n"])
def test_one_seed_or_one_variant_is_no_comparison(cli, sweep, text):
    code, out, _ = cli("sweep", sweep(text), "--output", "out", "--quiet")
    assert code == 0 and "finished" in out and "P(better)" not in out
    assert json.loads(cli("sweep", sweep(text), "--output", "out", "--json")[1])["comparison"] is None


def test_json_is_all_that_stdout_gets(cli, sweep):
    code, out, err = cli("sweep", "--config", sweep(), "--output", "out", "--json")
    document = json.loads(out)
    assert code == 0 and err == "" and document["trials"]["finished"] == 8 and Path(document["folder"]).is_dir()


def test_a_dry_run_prints_the_plan_and_trains_nothing(cli, sweep, tmp_path):
    code, out, _ = cli("sweep", sweep("base: c.yaml\ngrid: {model.hidden: [[4], [8]]}\nseeds: 3\n"), "--dry-run")
    assert code == 0 and "6 trials of 2 variants" in out and "group 2: 3 trials of 10 updates" in out
    assert "predicted:" in out and not (tmp_path / "outputs").exists()
    code, out, _ = cli("sweep", sweep(), "--dry-run", "--json")
    plan = json.loads(out)
    assert plan["trials"] == 8 and plan["seconds"] > 0 and plan["bytes"] > 0
    assert plan["groups"][0]["engine"] == "vector"


def test_a_dry_run_counts_lr_searches_and_tells_of_groups_that_cannot_be_built(cli, sweep):
    text = "base: c.yaml\nvariants: {a: {}, b: {data.batch_size: 4000}}\ntune: lr\n"
    code, out, _ = cli("sweep", sweep(text), "--dry-run")
    # As the sweep itself would: some of its trials cannot be trained.
    assert code == 4 and "first, 2 LR searches" in out and "time unknown" in out and "batch" in out


def test_a_dry_run_tells_what_pruning_saves(cli, sweep):
    text = SWEEP + "prune: {kind: asha, factor: 2, rungs: 3}\n"
    code, out, _ = cli("sweep", sweep(text), "--dry-run")
    assert code == 0 and "pruning (asha) leaves about 40 of 80 updates (50%)" in out
    pruned = json.loads(cli("sweep", sweep(text), "--dry-run", "--json")[1])
    whole = json.loads(cli("sweep", sweep(), "--dry-run", "--json")[1])
    assert (pruned["pruning"], whole["pruning"]) == (0.5, None)
    assert [each["groups"][0]["updates"] for each in (pruned, whole)] == [40, 80]


def test_what_was_pruned_is_counted_in_the_answer(cli, sweep):
    code, out, err = cli("sweep", sweep(SWEEP + "prune: {kind: asha, factor: 2, rungs: 1}\n"), "--output", "out")
    assert code == 0 and "8 trials: 4 finished, 4 pruned" in out and "8/8 trials, 4 pruned" in err


def test_set_and_seed_reach_the_base(cli, sweep, tmp_path):
    cli("sweep", sweep("base: c.yaml\nseeds: 2\n"), "--set", "train.duration=3", "--seed", 7, "-o", "out", "--quiet")
    trials = read_trials(tmp_path / "out/s/latest")
    assert [(trial.seed, trial.steps) for trial in trials] == [(7, 3), (8, 3)]


def test_the_resolved_config_gives_the_same_sweep(cli, sweep, tmp_path):
    cli("sweep", sweep(), "--output", "out", "--quiet")
    first = read_trials(tmp_path / "out/s/latest")
    cli("sweep", tmp_path / "out/s/latest/config.yaml", "--output", "again", "--quiet")
    assert [t.values for t in read_trials(tmp_path / "again/s/latest")] == [t.values for t in first]


def test_exit_codes_tell_what_happened(cli, sweep):
    assert cli("sweep", sweep("base: c.yaml\ngrid: {optimizer.lr: [1e30]}\n"), "-o", "out")[0] == 3
    code, out, _ = cli("sweep", sweep("base: c.yaml\ngrid: {data.batch_size: [4000]}\n"), "-o", "out")
    assert code == 4 and "1 failed" in out and "--retry-failed" in out
    assert "failed (data.batch_size=4000): data.batch_size: a batch of 4000 does not fit 192" in out
    assert cli("sweep", sweep(), "-o", "/dev/null/x")[0] == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no config is given"),
        (["nowhere.yaml"], "there is no such file"),
        (["s.yaml", "--max-trials", 7], "8 trials, but at most 7 are allowed"),
        (["s.yaml", "--retry-failed"], "--retry-failed needs --resume"),
        (["s.yaml", "--resume", "out"], "exactly as it was configured"),
        (["--resume", "nowhere"], "there is no such folder"),
        (["s.yaml", "--executor", "spark"], "there is no executor 'spark'; choose one of: auto, in-process, local"),
    ],
)
def test_what_cannot_be_done_is_a_usage_error(cli, sweep, arguments, said):
    sweep()
    code, _, err = cli("sweep", *arguments)
    assert code == 2 and said in err


def test_a_training_run_is_not_resumed_as_a_sweep(cli, config):
    cli("train", config(), "--output", "out", "--quiet")
    code, _, err = cli("sweep", "--resume", "out/small")
    assert code == 2 and "this is not the run of a sweep but of train" in err
    assert "write: lrtool train --resume out/small" in err


def test_a_sweep_that_another_process_works_on_is_left_alone(cli, sweep, tmp_path):
    cli("sweep", sweep(), "--output", "out", "--quiet")
    with SweepStore((tmp_path / "out/s/latest").resolve()):
        code, _, err = cli("sweep", "--resume", "out/s")
    assert code == 2 and "another process is working on this sweep" in err


#: Runs a command line and kills itself, as kill -9 does, at the n-th call of a function of lrtool.
KILLED = """
    import os, signal, sys
    sys.path.insert(0, {here!r})
    from lrtool.engine.vector.worker import Worker
    from lrtool.runs.sweep.store import SweepStore
    owner, name, left = {{"store": SweepStore, "engine": Worker}}[sys.argv[1]], sys.argv[2], int(sys.argv[3])
    real = getattr(owner, name)
    def dying(self, *arguments):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, *arguments)
    setattr(owner, name, dying)
    from lrtool.cli.app import run
    sys.exit(run(sys.argv[4:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
def test_kills_at_any_moment_change_no_result(cli, sweep, tmp_path):
    grid = "{schedule: [cosine, constant], optimizer.lr: [0.1, 0.3], model.hidden: [[8], [12]]}"
    path = sweep(f"base: c.yaml\ngrid: {grid}\nseeds: 2\n")
    cli("sweep", path, "--output", "whole", "--quiet")
    code = textwrap.dedent(KILLED.format(here=str(Path(__file__).parents[2])))

    def killed(owner, name, calls, *arguments):
        command = [sys.executable, "-c", code, owner, name, str(calls), *map(str, arguments)]
        assert subprocess.run(command, check=False, cwd=tmp_path).returncode == -signal.SIGKILL

    killed("store", "record", 3, "sweep", path, "--output", "cut", "--quiet")
    run = (tmp_path / "cut/s/latest").resolve()
    assert len(read_trials(run)) == 3
    killed("engine", "_advance", 1, "sweep", "--resume", run, "--quiet")
    killed("store", "close", 0, "sweep", "--resume", run, "--quiet")
    assert cli("sweep", "--resume", run, "--quiet")[0] == 0
    for cut, whole in zip(read_trials(run), read_trials(tmp_path / "whole/s/latest"), strict=True):
        np.testing.assert_equal({**vars(cut), "seconds": 0}, {**vars(whole), "seconds": 0})
    assert (run / FILE).exists() and (run / "trials.csv").exists()


def test_tuned_lrs_are_shown(cli, sweep):
    text = "base: c.yaml\nvariants: {one: {schedule: cosine}}\ntune: {budget: 30}\nseeds: 2\n"
    code, out, _ = cli("sweep", sweep(text), "--output", "out", "--set", "train.duration=30")
    assert code == 0 and "tuned: lr" in out and "for one" in out


def test_a_failure_is_shown_with_its_reason_and_is_one_also_beside_others(cli, sweep):
    code, out, err = cli("sweep", sweep("base: c.yaml\ngrid: {data.batch_size: [24, 4000, 5000]}\n"), "-o", "out")
    assert code == 4 and "3 trials: 1 finished, 2 failed" in out
    for size in (4000, 5000):
        assert f"failed: data.batch_size={size}: data.batch_size: a batch of {size} does not fit" in err
        assert f"failed (data.batch_size={size}): data.batch_size: a batch of {size} does not fit" in out
    failures = json.loads(cli("sweep", "s.yaml", "-o", "out", "--json")[1])["failures"]
    assert [each["trials"] for each in failures] == [1, 1]


def test_a_sweep_that_is_over_says_so_and_changes_nothing(cli, sweep, tmp_path):
    cli("sweep", sweep("base: c.yaml\ngrid: {data.batch_size: [24, 4000]}\n"), "-o", "out", "--quiet")
    folder = (tmp_path / "out/s/latest").resolve()
    before = (folder / "summary.json").read_bytes()
    code, out, _ = cli("sweep", "--resume", folder)
    assert code == 4 and out.startswith("nothing to do: all 2 trials of this sweep have ended; --retry-failed")
    assert json.loads(cli("sweep", "--resume", folder, "--json")[1])["nothing_to_do"]
    assert (folder / "summary.json").read_bytes() == before
    code, out, _ = cli("sweep", "--resume", folder, "--retry-failed", "--quiet")
    assert code == 4 and "2 trials: 1 finished, 1 failed" in out


def test_a_dry_run_finds_what_is_not_installed(cli, sweep, monkeypatch):
    from lrtool.errors import MissingExtraError

    def missing():
        raise MissingExtraError("optuna", extra="optuna")

    monkeypatch.setattr("lrtool.experiments.sweep.tpe.require_optuna", missing)
    text = "base: c.yaml\nrandom: {optimizer.lr: {log: [1e-3, 1]}}\nsamples: 4\nsampler: tpe\n"
    code, _, err = cli("sweep", sweep(text), "--dry-run")
    assert code == 2 and "pip install 'lrtool[optuna]'" in err
    code, _, err = cli("sweep", sweep(), "--dry-run", "-o", "/dev/null/x")
    assert code == 5 and "--output" in err


@pytest.mark.parametrize(
    ("grid", "trials", "said"),
    [
        (
            "{optimizer.momentum: [0.1, 0.9], optimizer.kind: [sgd, adagrad]}",
            3,
            "optimizer.momentum has no effect where",
        ),
        ("{optimizer.kind: [sgd, adagrad], optimizer.momentum: [0.1, 0.9]}", 3, "where optimizer is adagrad"),
        (
            "{schedule: [constant, cosine], schedule.final: [0, 0.01]}",
            3,
            "schedule.final has no effect where schedule is",
        ),
        (
            "{schedule.rise: [10%, 20%], schedule: [one_cycle, linear]}",
            3,
            "schedule.rise has no effect where schedule is",
        ),
        ("{schedule: [cosine], schedule.warmup_start: [0, 10%]}", 1, "1 combination trains the same as another"),
        ("{range_test.steps: [10, 20, 30]}", 1, "2 combinations train the same as another, and are left out"),
        ("{train.best: [val_loss, train_loss]}", 1, "train.best=train_loss is as train.best=val_loss"),
        ("{optimizer.lr: [0.1, 0.2]}", 2, ""),
    ],
)
def test_keys_without_effect_train_no_twins(cli, sweep, grid, trials, said):
    path = sweep(f"base: c.yaml\ngrid: {grid}\n")
    plan = json.loads(cli("sweep", path, "--dry-run", "--json")[1])
    assert plan["trials"] == trials and said in " ".join(plan["notes"]) and bool(said) == bool(plan["notes"])


def test_what_no_kind_has_is_still_a_mistake(cli, sweep):
    text = "base: c.yaml\ngrid: {schedule: [constant, cosine], schedule.finale: [0, 0.1]}\n"
    code, _, err = cli("sweep", sweep(text), "--dry-run")
    assert code == 2 and "there is no such key" in err and "schedule.finale" in err
    text = "base: c.yaml\nvariants: {a: {schedule: constant, schedule.final: 0.1}, b: {schedule: cosine}}\n"
    code, _, err = cli("sweep", sweep(text), "--dry-run")
    assert code == 2 and "there is no such key" in err


def test_named_variants_that_are_the_same_are_trained_and_said(cli, sweep):
    path = sweep("base: c.yaml\nvariants: {a: {}, b: {optimizer.lr: 0.3}}\nseeds: 2\n")
    code, out, err = cli("sweep", path, "-o", "out")
    said = "note: the variants a and b train the same"
    assert code == 0 and "4 trials: 4 finished" in out and said in out and said in err


def test_a_config_and_a_sweep_in_each_others_place_are_named(cli, sweep, config):
    sweep()
    for command in ("train", "range-test", "tune", "check"):
        code, out, err = cli(command, "s.yaml")
        if command == "check":
            assert code == 0
            continue
        assert code == 2 and out == "" and "s.yaml:1:1  base  this is a sweep" in err
        assert "write: lrtool sweep s.yaml" in err
    code, _, err = cli("sweep", "c.yaml")
    assert code == 2 and "this is a config, not a sweep" in err and "lrtool train c.yaml" in err


def test_the_run_of_a_sweep_is_no_training(cli, sweep):
    cli("sweep", sweep("base: c.yaml\nseeds: 2\n"), "-o", "out", "--quiet")
    code, _, err = cli("train", "--resume", "out/s")
    assert code == 2 and "this is a sweep run" in err and "write: lrtool sweep --resume out/s" in err
    code, _, err = cli("train", "out/s/latest/config.yaml")
    assert code == 2 and "this is the run of a sweep" in err and "lrtool sweep --resume out/s/latest" in err
