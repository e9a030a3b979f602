"""What of a job is left when its worker was lost, and the same job where its files are somewhere else."""

from dataclasses import replace

import pytest

from lrtool.config.sweep.load import load_sweep
from lrtool.engine.trials import EngineName
from lrtool.experiments.sweep.grouping import group_trials
from lrtool.experiments.sweep.jobs import Advance, HowTrained, Job, left, train
from lrtool.experiments.sweep.outcome import failed
from lrtool.status import Status

SWEEP = """
base:
  model: {use: "net.py:Net"}
  data: {kind: spirals, samples: 100}
  optimizer: {kind: sgd, lr: 0.1}
  train: {duration: 5}
  device: cpu
grid: {optimizer.lr: [0.1, 0.2, 0.3]}
"""
NET = "from torch import nn\ndef Net():\n    return nn.Linear(2, 3)\n"


@pytest.fixture
def job(tmp_path):
    (tmp_path / "s.yaml").write_text(SWEEP)
    (tmp_path / "net.py").write_text(NET)
    (group,) = group_trials(load_sweep(tmp_path / "s.yaml").trials())
    return Job(group.key, group.config, group.trials, EngineName.VECTOR, False, frozenset({f"{tmp_path}/"}))


def test_what_is_left_are_the_trials_that_nothing_was_said_of(job):
    assert left(job, [Advance(3), HowTrained(job.key, "stacked")]) is job
    two = left(job, [failed(job.trials[1], "it broke")])
    assert [trial.number for trial in two.trials] == [0, 2] and two.company == ()
    assert left(job, [failed(trial, "") for trial in job.trials]) is None


def test_a_trial_that_is_left_alone_keeps_the_company_of_its_stack(job):
    finished = replace(failed(job.trials[1], ""), status=Status.FINISHED)
    one = left(job, [failed(job.trials[0], ""), finished])
    # Not one that could not be trained.
    assert [trial.number for trial in one.trials] == [2] and [trial.number for trial in one.company] == [1]
    alone = left(replace(job, engine=EngineName.LOOP), [failed(job.trials[0], ""), failed(job.trials[1], "")])
    assert alone.company == ()


def test_a_job_whose_files_travelled_trains_the_same(job, tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    (tmp_path / "net.py").rename(there / "net.py")
    places = {str(tmp_path): str(there), str(tmp_path / "net.py"): str(there / "net.py")}
    moved, reports = job.moved(places), []
    assert moved.allow_import == {f"{there}/"} and {trial.config.folder for trial in moved.trials} == {there}
    assert moved.key == job.key and [trial.settings for trial in moved.trials] == [t.settings for t in job.trials]
    train(moved, reports.append)
    assert [trial.status for trial in reports if hasattr(trial, "status")] == ["finished"] * 3
    said = []
    train(replace(job, key="another"), said.append)
    assert all("there is no file" in trial.message for trial in said)
