"""The Slurm executor with submitit's imitation of the scheduler: processes of this machine, preempted by a signal."""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("submitit", reason="submitit is not installed: make test-slurm")

sys.path.insert(0, str(Path(__file__).parent))
import executor_work as work
import slurm_programs
from executor_contract import ExecutorContract, never

from lrtool.errors import UsageError
from lrtool.executors import asked_for, slurm_cluster, versions
from lrtool.executors.base import Requirements


@pytest.fixture
def started(tmp_path, monkeypatch):
    here = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(here))
    return lambda workers=2, **needs: asked_for(
        "slurm", workers, Requirements(**{"imitation": True, "folder": tmp_path / "out", **needs})
    )


@pytest.fixture
def submitted(monkeypatch):
    """Every job that was submitted, in order."""
    jobs, submit = [], slurm_cluster.Spool.submit

    def kept(self, serve, parcels):
        made = submit(self, serve, parcels)
        jobs.extend(made)
        return made

    monkeypatch.setattr(slurm_cluster.Spool, "submit", kept)
    return jobs


def preempting(results, result):
    """Keep a result; after some, signal its process as the scheduler does whose node it wants back."""
    results.append(result)
    if len(results) in (2, 5):
        os.kill(result[1], signal.SIGUSR2)


class TestSlurmArrays(ExecutorContract):
    @pytest.fixture
    def executor(self, started):
        return started()

    def test_nothing_is_left_behind(self, executor, tmp_path, submitted):
        executor.run(work.square, [1, 2, 3], lambda result: None, never)
        assert list((tmp_path / "out").iterdir()) == [] and len(submitted) == 3

    def test_what_a_driver_that_was_killed_has_left_is_removed_a_day_later(self, executor, tmp_path):
        for name, hours in ((".slurm-old", 25), (".slurm-new", 1)):
            (tmp_path / "out" / name).mkdir(parents=True)
            (tmp_path / "out" / name / "alive").touch()
            os.utime(tmp_path / "out" / name / "alive", (then := time.time() - 3600 * hours, then))
        executor.run(work.square, [1], lambda result: None, never)
        assert [each.name for each in (tmp_path / "out").iterdir()] == [".slurm-new"]

    def test_an_element_that_is_gone_before_it_says_a_word_is_submitted_again(self, executor, monkeypatch):
        # As where it is preempted while Python starts.
        submit, made, results = slurm_cluster.Spool.submit, [], []

        def killed_at_once(self, serve, parcels):
            found = submit(self, serve, parcels)
            made.extend(found)
            if found and len(made) == 1:
                found[0]._process.kill()
            return found

        monkeypatch.setattr(slurm_cluster.Spool, "submit", killed_at_once)
        executor.run(work.square, [3], results.append, never)
        assert results == [9] and len(made) == 2

    def test_many_jobs_are_few_array_elements(self, executor, submitted):
        results = []
        executor.run(work.square, range(20), results.append, never)
        assert sorted(results) == [number * number for number in range(20)] and len(submitted) <= 8

    def test_a_job_has_the_cores_that_it_needs(self, started):
        seen = []
        started(cpus=1).run(work.about_itself, [0], seen.append, never)
        assert seen[0][0] != os.getpid() and seen[0][1] == "1"

    def test_a_preempted_job_goes_on_with_what_it_had_not_reported(self, executor, submitted):
        results = []
        job = {"numbers": tuple(range(8)), "seconds": 0.3}
        executor.run(work.slow_numbers, [job], partial(preempting, results), never, work.rest_of_numbers)
        assert sorted(number for number, _ in results) == list(range(8))
        assert len({pid for _, pid in results}) == 3 and len(submitted) == 1

    def test_what_dies_is_submitted_again_and_lost_after_a_few_times(self, started, tmp_path):
        results, lost = [], []
        jobs = [
            {"numbers": (0, 1, 2), "deadly": (1,), "folder": str(tmp_path)},
            {"numbers": (5, 6), "deadly": (6,), "always": True, "folder": str(tmp_path)},
        ]
        started(retries=1).run(
            work.numbers, jobs, results.append, lambda *what: lost.append(what), work.rest_of_numbers
        )
        assert sorted(number for number, _ in results) == [0, 1, 2, 5]
        ((job, why),) = lost
        assert job["numbers"] == (6,) and "ended 2 times without getting on" in why


class TestSlurmsPrograms:
    """What is submitted to Slurm itself, whose programs are played."""

    @pytest.fixture
    def known(self, tmp_path, monkeypatch):
        import submitit

        # Wherever the folder of a test lies.
        monkeypatch.setattr(slurm_cluster, "kind_of", lambda folder: "nfs")
        submitit.SlurmJob.watcher.clear()
        return slurm_programs.install(tmp_path, monkeypatch)

    def test_an_array_with_the_options_that_are_asked_for(self, started, known):
        results, options = [], {"partition": "long", "time": 30, "mem": "2GB"}
        executor = started(imitation=False, cpus=1.5, gpus=1.0, slurm=options)
        executor.run(work.square, range(12), results.append, never)
        assert sorted(results) == [number * number for number in range(12)]
        wanted = {"array=0-5%2", "partition=long", "time=30", "mem=2GB", "cpus-per-task=2", "gpus-per-node=1"}
        assert wanted <= set((known / "1.options").read_text().splitlines())
        assert {slurm_programs.state(f"1_{number}") for number in range(6)} <= {"COMPLETED", "CANCELLED"}

    def test_an_element_whose_node_is_taken_is_requeued(self, started, known, submitted):
        results = []
        job = {"numbers": tuple(range(8)), "seconds": 0.3}
        started(imitation=False).run(
            work.slow_numbers, [job], partial(preempting, results), never, work.rest_of_numbers
        )
        assert sorted(number for number, _ in results) == list(range(8))
        assert len({pid for _, pid in results}) == 3 and len(submitted) == 1

    def test_an_element_that_dies_is_seen_in_the_accounts(self, started, known, tmp_path, submitted):
        results, job = [], {"numbers": (0, 1, 2), "deadly": (1,), "folder": str(tmp_path)}
        started(imitation=False).run(work.numbers, [job], results.append, never, work.rest_of_numbers)
        assert sorted(number for number, _ in results) == [0, 1, 2] and len(submitted) == 2
        assert slurm_programs.state("1") == "FAILED"

    def test_nothing_runs_on_where_the_driver_ends(self, started, known):
        def stop(result):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            started(imitation=False).run(work.long, [1, 2, 3], stop, never)
        assert {slurm_programs.state(f"1_{number}") for number in range(3)} == {"CANCELLED"}

    def test_what_sbatch_refuses(self, started, known):
        executor = started(imitation=False, slurm={"partition": slurm_programs.NO_PARTITION})
        said = r"sbatch refused the jobs: Batch job submission failed: Invalid partition name specified; write opt"
        with pytest.raises(UsageError, match=said):
            executor.run(work.square, [1, 2], never, never)

    def test_where_there_are_no_accounts_the_log_says_so(self, started, known, capfd, caplog):
        (known.parent / "bin" / "sacct").write_text("#!/bin/sh\nexit 1\n")
        with caplog.at_level("WARNING", "lrtool"):
            results = []
            started(imitation=False).run(work.square, [1, 2], results.append, never)
        assert sorted(results) == [1, 4] and capfd.readouterr().out == ""
        assert "sacct error" in caplog.text

    @pytest.mark.parametrize("name", ["srun", "sacct", "scancel"])
    def test_a_program_that_is_missing(self, started, known, name):
        (known.parent / "bin" / name).unlink()
        with pytest.raises(UsageError, match=f"no Slurm on this machine: {name} is not found"):
            started(imitation=False)


class TestRefusals:
    def test_no_slurm_here(self, started, monkeypatch):
        monkeypatch.setenv("PATH", "/nowhere")
        with pytest.raises(UsageError, match=r"no Slurm on this machine: sbatch is not found; .*--slurm-cluster local"):
            started(imitation=False)

    def test_a_folder_that_other_machines_cannot_see(self, started, monkeypatch):
        monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
        monkeypatch.setattr(slurm_cluster, "kind_of", lambda folder: "tmpfs")
        with pytest.raises(UsageError, match=r"--output .*out: other machines cannot see this folder.*\(tmpfs\)"):
            started(imitation=False)

    def test_a_part_of_a_gpu(self, started, monkeypatch):
        monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
        with pytest.raises(UsageError, match=r"cluster.gpus: Slurm gives whole GPUs, but got 0.5; write 1"):
            started(imitation=False, gpus=0.5)

    def test_more_gpus_than_there_are(self, started):
        with pytest.raises(
            UsageError,
            match=r"each group of trials asks for 99 GPUs, but this machine has 0; write cluster: {gpus: 0}",
        ):
            started(gpus=99)

    def test_an_option_that_submitit_does_not_know(self, started, tmp_path):
        with pytest.raises(UsageError, match=r"cluster.slurm: there is no option .partitoin.; did you mean .partition"):
            started(slurm={"partitoin": "gpu"})
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("minutes", ["2:00:00", 0, -5, True, 1e9])
    def test_a_time_that_is_no_number_of_minutes(self, started, minutes):
        with pytest.raises(UsageError, match=r"cluster.slurm.time: this is a number of minutes.*; write for example"):
            started(slurm={"time": minutes})

    def test_other_versions_are_refused_and_named(self, started, monkeypatch):
        here = versions.here()
        monkeypatch.setattr(versions, "here", lambda: {**here, "torch": "0.0.7"})
        with pytest.raises(UsageError, match=r"the node \S+ has torch .* \(here: 0.0.7\)"):
            started().run(work.square, [1, 2], lambda result: None, never)

    def test_a_node_without_the_users_package(self, started):
        with pytest.raises(UsageError, match=r"has no package 'no_such_package'"):
            started(packages=("no_such_package",)).run(work.square, [1], lambda result: None, never)

    def test_a_node_that_does_not_see_the_folder(self, started, monkeypatch, submitted):
        # As where nothing is shared: what is submitted is not there on the node.
        monkeypatch.setenv("PYTHONPATH", "/nowhere")
        executor = started()
        monkeypatch.setattr(executor._cluster, "_submitit", _Elsewhere(executor._cluster._submitit))
        with pytest.raises(UsageError, match=r"ended before it could write a word into this folder.*all nodes see"):
            executor.run(work.square, [1], never, never)


class _Elsewhere:
    """submitit, whose Python is not on the node."""

    def __init__(self, submitit):
        self._submitit = submitit

    def AutoExecutor(self, *arguments, **options):  # noqa: N802
        made = self._submitit.AutoExecutor(*arguments, **options)
        made._executor.python = f"{sys.executable} -c 'raise SystemExit(1)'"
        return made
