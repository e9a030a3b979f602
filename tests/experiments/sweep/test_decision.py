import pytest

from lrtool.config.sweep.load import load_sweep
from lrtool.engine.vector.plan import Plan
from lrtool.executors import EXECUTORS
from lrtool.executors.local import LocalProcesses
from lrtool.experiments.sweep.arrivals import outlook
from lrtool.experiments.sweep.decision import Outlook, decide, share
from lrtool.experiments.sweep.grouping import group_trials
from lrtool.runs.sweep.store import SweepStore
from tests.experiments.sweep.test_sweep import BASE, sweep  # noqa: F401

TEXT = "base: base.yaml\ngrid: {optimizer.lr: [0.1, 0.2, 0.3], seed: 4}\n"


@pytest.fixture
def planned(monkeypatch):
    """What the engine's planner was asked; it finds that compiling pays."""
    asked = []

    class Compiling:
        def __init__(self, task, trials, recipe, workers, updates):
            asked.append((len(trials), workers, updates))

        def plan(self):
            return Plan(2, 1, 1, object(), False, "compiled in 0.0 s")

    monkeypatch.setattr("lrtool.experiments.sweep.decision.StackPlanner", Compiling)
    return asked


@pytest.fixture
def loaded(tmp_path):
    def loaded(more=""):
        (tmp_path / "base.yaml").write_text(BASE)
        (tmp_path / "s.yaml").write_text(TEXT + more)
        return load_sweep(tmp_path / "s.yaml")

    return loaded


def test_what_is_decided_counts_all_that_is_to_come(loaded, planned):
    (group,) = group_trials(loaded().trials())
    decision = decide(group, (), Outlook(updates=10.0, calls=6, sizes=2))
    assert decision.engine == "vector" and decision.compiled and "compiled in" in decision.text
    assert decision.reason == "12 trials side by side", "no time that was measured: the summary has it"
    # 12 trials of 12 updates, ten times over, in this process; half of it with stacks of one size.
    assert planned == [(12, None, 720)]


def test_processes_compile_for_what_one_of_them_trains_in_a_call(loaded, planned):
    (group,) = group_trials(loaded().trials())
    decide(group, (), Outlook(updates=5.0, calls=3, sizes=3, workers=2))
    assert planned == [(6, 1, 120)]


def test_a_process_gets_at_least_two_trials():
    assert [share(range(count), 4) for count in (1, 4, 9, 100)] == [2, 2, 3, 25]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", (1.0, 1, 1)),
        ("prune: {factor: 3, rungs: 2}\n", (1 / 3, 3, 3)),
        ("prune: {kind: asha, factor: 3, rungs: 2}\nbatch: 2\n", (1 / 3, 6, 3)),
        ("random: {optimizer.momentum: {linear: [0, 0.9]}}\nsamples: 50\nsampler: tpe\n", (5.0, 5, 1)),
    ],
)
def test_the_outlook_of_a_sweep(loaded, more, expected):
    made = outlook(loaded(more))
    assert (made.updates, made.calls, made.sizes) == pytest.approx(expected) and made.workers is None


def test_processes_follow_what_was_decided_once(sweep, planned, monkeypatch):  # noqa: F811
    jobs = []

    class Watched(LocalProcesses):
        def run(self, work, given, report, lost, rest=None):
            jobs.extend(given)
            for job in given:
                lost(job, "not trained here")

    monkeypatch.setitem(EXECUTORS.kinds, "local", Watched)
    run = sweep(TEXT, executor="local", workers=3)
    assert [len(job.trials) for job in jobs] == [4, 4, 4] and all(job.compiled for job in jobs)
    sweep(resume=run.folder, executor="local", workers=2, retry_failed=True)
    assert [len(job.trials) for job in jobs[3:]] == [6, 6] and all(job.compiled for job in jobs)
    assert len(planned) == 1
    with SweepStore(run.folder.path) as store:
        (group,) = group_trials(load_sweep(run.folder.config).trials())
        assert store.fact(f"engine:{group.key}")["compiled"] is True
