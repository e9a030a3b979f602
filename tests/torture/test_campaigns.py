"""A slice of the campaigns of `make torture`: kills, signals, and many processes that start at once."""

import random

import pytest

from tests.torture.campaigns import kills, names, signals
from tests.torture.support import forks, runs


@pytest.fixture(autouse=True)
def own_places(monkeypatch, tmp_path):
    """`write_configs` says where lrtool remembers; afterwards it is as before."""
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


# Two kills and three whole runs with worker processes; `make torture` does it with hundreds.
@pytest.mark.deep
def test_a_training_of_own_data_that_is_killed_goes_on_to_the_same_result(tmp_path):
    kills.write_configs(tmp_path)
    victim = next(each for each in kills.victims(4, 0) if each.name == "train, 2 workers")
    done = kills.Kills(victim, tmp_path, random.Random(1))
    done.run()
    assert done.kills == 2 and done.finished


def test_every_signal_stops_a_training_that_goes_on_to_the_same_result(tmp_path):
    kills.write_configs(tmp_path)
    done = signals.Signals("train", tmp_path, random.Random(2))
    done.run(1)
    assert sum(done.counts.values()) == len(signals.SIGNALS)


def test_processes_that_start_at_once_share_no_folder(tmp_path):
    runs.write_configs(tmp_path)
    (tmp_path / "c.yaml").write_text(names.QUICK)
    names.same_name(tmp_path, 6)


def test_of_two_that_resume_one_run_one_goes_on(tmp_path):
    runs.write_configs(tmp_path)
    names.two_resume(tmp_path, 0)


def test_a_transfer_that_is_killed_goes_on_by_the_command_line(tmp_path):
    runs.write_configs(tmp_path)
    run = runs.made(tmp_path, "transfer", "killed", runs.killed_at("transfer", 2))
    ended = forks.run(tmp_path, "transfer", "--resume", run, "--quiet", before=forks.without_plots)
    assert ended.code == 0, ended.said
    assert "suggested_lr" in (run / "summary.json").read_text()
