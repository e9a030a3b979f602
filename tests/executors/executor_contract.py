"""What every executor does: a set of tests that each of them runs."""

import executor_work as work
import pytest

from lrtool.executors.base import WorkError


def never(job, why):
    raise AssertionError(f"{job} was lost: {why}")


class ExecutorContract:
    @pytest.fixture
    def executor(self):
        raise NotImplementedError

    def test_every_job_is_done_once(self, executor):
        results = []
        executor.run(work.square, range(7), results.append, never)
        assert sorted(results) == [0, 1, 4, 9, 16, 25, 36]

    def test_results_of_a_job_come_in_order(self, executor):
        results = []
        executor.run(work.squares, [3, 0, 2], results.append, never)
        assert [r for job, r in results if job == 3] == [0, 1, 4] and len(results) == 5

    def test_no_jobs_are_no_work(self, executor):
        executor.run(work.square, [], never, never)

    def test_what_a_job_raises_is_raised(self, executor):
        with pytest.raises((ValueError, WorkError), match="three is not liked"):
            executor.run(work.fail_on_three, [1, 2, 3, 4], lambda result: None, never)

    def test_what_a_report_raises_is_raised(self, executor):
        def refuse(result):
            raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            executor.run(work.square, [1, 2, 3], refuse, never)

    def test_an_interrupt_passes(self, executor):
        def stop(result):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            executor.run(work.square, [1, 2, 3], stop, never)

    def test_at_least_one_worker(self, executor):
        assert executor.workers >= 1
