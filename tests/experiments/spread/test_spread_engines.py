"""Trials that an executor trains give the traces of those that are trained here."""

import time

import numpy as np
import pytest

from lrtool.engine import clock
from lrtool.engine.observer import Observer
from lrtool.engine.trials import EngineName
from lrtool.errors import TaskError, UsageError
from lrtool.executors.inprocess import InProcess
from lrtool.experiments.engines import Engines
from lrtool.experiments.spread import trials as spread_trials
from lrtool.experiments.spread.engines import SpreadEngines
from lrtool.experiments.spread.trials import Ended, Failure, TrialsJob, changes_of, left


class Sent(InProcess):
    """Sends every job and result as it would be sent to another process."""

    def run(self, work, jobs, report, lost, rest=None):
        import pickle

        for job in jobs:
            work(pickle.loads(pickle.dumps(job)), lambda result: report(pickle.loads(pickle.dumps(result))))


class Seen(Observer):
    def __init__(self):
        self.seen = []

    def begin(self, trials, first=0):
        self.seen.append(("begin", len(trials)))

    def recorded(self, trial, trace, start):
        self.seen.append(("recorded", trial, start, trace.steps))

    def evaluated(self, trial, evaluation):
        self.seen.append(("evaluated", trial, evaluation.step))

    def ended(self, trial, trace):
        self.seen.append(("ended", trial, trace.steps))


@pytest.fixture
def setup(configured):
    return configured(train__duration=12, train__eval_every=5)


@pytest.mark.parametrize("engine", [EngineName.LOOP, EngineName.VECTOR])
def test_the_traces_are_those_of_one_process(setup, engine):
    trials = [setup.trial(seed, lr) for lr in (0.01, 0.1) for seed in (0, 1)]
    here = Engines(engine).run(setup.task, trials, setup.recipe)
    spread = SpreadEngines(Sent(), setup, wanted=engine)
    there = spread.run(setup.task, trials, setup.recipe)
    for one, other, trial in zip(here, there, trials, strict=True):
        assert other.trial is trial and one.status is other.status
        np.testing.assert_array_equal(one.train_loss, other.train_loss)
        np.testing.assert_array_equal(one.lr, other.lr)
        assert one.evaluations == other.evaluations
    assert spread.summary()["name"] is engine


def test_an_observer_sees_evaluations_where_they_were_made(setup):
    seen = Seen()
    recipe = spread_trials.replace(setup.recipe, eval_every=5)
    SpreadEngines(Sent(), setup, wanted=EngineName.LOOP).run(setup.task, [setup.trial(0, 0.1)], recipe, seen)
    assert seen.seen == [
        ("begin", 1), ("recorded", 0, 0, 5), ("evaluated", 0, 5), ("recorded", 0, 5, 10), ("evaluated", 0, 10),
        ("recorded", 0, 10, 12), ("evaluated", 0, 12), ("ended", 0, 12),
    ]  # fmt: skip


def test_waiting_for_a_machine_counts_at_no_time(setup):
    class Queued(Sent):
        def run(self, work, jobs, *others):
            for job in jobs:
                time.sleep(1.0)
                super().run(work, [job], *others)

    class Clocked(Observer):
        def begin(self, trials, first=0):
            self.began, self.spent = clock.worked(), []

        def ended(self, trial, trace):
            self.spent.append(clock.since(self.began))

    clocked, trials = Clocked(), [setup.trial(seed, 0.1) for seed in range(3)]
    SpreadEngines(Queued(), setup, wanted=EngineName.LOOP).run(setup.task, trials, setup.recipe, clocked)
    # Also when a trial is remembered: a search that is stopped there goes on with what it has spent.
    assert clocked.spent == sorted(clocked.spent) and clock.since(clocked.began) < 1.0


def test_without_validation_data_there_is_none_elsewhere(setup):
    task = spread_trials.replace(setup.task, val=None)
    (trace,) = SpreadEngines(Sent(), setup, wanted=EngineName.LOOP).run(task, [setup.trial(0, 0.1)], setup.recipe)
    assert trace.evaluations == []


def test_what_is_left_of_a_job(setup):
    trials = tuple(enumerate(setup.trial(seed, 0.1) for seed in range(3)))
    job = TrialsJob(setup.config, frozenset(), trials, EngineName.VECTOR, changes_of(setup.recipe), True)
    assert left(job, []) is job
    two = left(job, [Ended(1, None)])
    assert [number for number, _ in two.trials] == [0, 2] and two.company == ()
    one = left(job, [Ended(1, None), Ended(0, None)])
    assert [number for number, _ in one.trials] == [2] and len(one.company) == 1
    assert left(job, [Ended(number, None) for number in range(3)]) is None


@pytest.mark.parametrize("error", [TaskError("it broke", where="model"), UsageError("wrong", remedy="write it")])
def test_an_error_elsewhere_is_the_same_here(error):
    with pytest.raises(type(error)) as raised:
        Failure.of(error).raised()
    assert str(raised.value) == str(error) and type(raised.value) is type(error)


def test_a_job_that_is_lost_for_good_ends_the_search(setup):
    class Losing(InProcess):
        def run(self, work, jobs, report, lost, rest=None):
            lost(jobs[0], "its worker died")

    with pytest.raises(TaskError, match="1 trials could not be trained: its worker died"):
        SpreadEngines(Losing(), setup, wanted=EngineName.LOOP).run(setup.task, [setup.trial(0, 0.1)], setup.recipe)


def test_another_setup_is_built_there(setup, configured):
    other = configured(train__duration=12, train__eval_every=5, data__batch_size=12)
    engines = SpreadEngines(Sent(), setup, wanted=EngineName.LOOP)
    (there,) = engines.of(other).run(other.task, [other.trial(0, 0.1)], other.recipe)
    (here,) = Engines(EngineName.LOOP).run(other.task, [other.trial(0, 0.1)], other.recipe)
    np.testing.assert_array_equal(here.train_loss, there.train_loss)
    assert engines.summary()["name"] is EngineName.LOOP
