import json
from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.loop.speeds import LoopSpeed
from lrtool.engine.observer import Observer
from lrtool.engine.trials import EngineName, Recipe
from lrtool.engine.vector.engine import VectorEngine
from lrtool.engine.vector.obstacles import NotStackableError
from lrtool.engine.vector.speeds import StackSpeed
from lrtool.errors import UsageError
from lrtool.experiments.engines import Engines
from lrtool.experiments.range_test.range_test import run_range_test
from lrtool.experiments.tryout import stacks
from lrtool.experiments.tune import run_tune


class Branching(nn.Module):
    """Looks at a value in its forward pass, which a stack cannot."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        return self.layer(x) if x.sum().item() > 0 else self.layer(-x)


def branching(setup):
    return replace(setup, task=replace(setup.task, new_model=Branching))


@pytest.fixture
def trials(configured):
    setup = configured()
    return setup, [setup.trial(seed, 0.1) for seed in range(3)]


@pytest.mark.parametrize(("name", "expected"), [("loop", LoopEngine), ("vector", VectorEngine), ("auto", VectorEngine)])
def test_the_engine_that_is_asked_for_trains(trials, name, expected):
    setup, several = trials
    engines = Engines(EngineName.parse(name))
    assert isinstance(engines.choose(setup.task, several, setup.recipe).engine, expected)
    traces = engines.run(setup.task, several, setup.recipe)
    assert [trace.trial for trace in traces] == several
    assert engines.summary()["name"] == ("loop" if expected is LoopEngine else "vector")


def test_an_engine_that_is_not_there_names_those_that_are():
    with pytest.raises(UsageError, match=r"--engine.*'gpu'; write auto, loop or vector"):
        EngineName.parse("gpu")


def test_a_model_that_cannot_be_stacked_is_refused_by_vector_and_trained_by_auto(trials):
    setup, several = trials
    setup = branching(setup)
    with pytest.raises(NotStackableError, match=r"test_engines\.py:\d+.*item.*use the loop engine"):
        Engines(EngineName.VECTOR).run(setup.task, several, setup.recipe)
    engines = Engines()
    engines.run(setup.task, several, setup.recipe)
    assert engines.summary()["name"] == "loop" and "item" in engines.summary()["reason"]


def test_like_trials_are_chosen_for_once(trials, monkeypatch):
    setup, several = trials
    engines = Engines()
    engines.run(setup.task, several, setup.recipe)
    monkeypatch.setattr("lrtool.experiments.engines.choose_engine", lambda *_: pytest.fail("chosen again"))
    engines.run(setup.task, several[:2], setup.recipe)
    # A single trial is another matter.
    monkeypatch.undo()
    engines.run(setup.task, several[:1], setup.recipe)
    assert engines.summary()["name"] == "vector"


def test_the_summary_names_the_engine_of_most_updates_not_of_the_largest_call(trials):
    setup, several = trials
    engines = Engines()
    engines.run(setup.task, [setup.trial(9, 0.1)], setup.recipe)
    assert engines.summary() == {"name": "loop", "reason": "one trial has no company", "share": 1.0}
    few = [replace(trial, steps=trial.steps * 2 // 5) for trial in several]
    for _ in range(2):
        engines.run(setup.task, few, setup.recipe)
    summary = engines.summary()
    assert summary["name"] == "vector" and 0.6 < summary["share"] < 0.8


def test_both_engines_give_the_same_range_test(configured, silent, tmp_path):
    # Without dropout, whose masks differ between the engines.
    setup = configured(model__dropout=0.0, range_test__steps=100, range_test__seeds=3)
    loop, vector = (
        run_range_test(setup, tmp_path, silent, Engines(name))[1] for name in (EngineName.LOOP, EngineName.VECTOR)
    )
    np.testing.assert_allclose(vector.losses[:, :30], loop.losses[:, :30], rtol=1e-4)
    assert vector.suggestion.value == pytest.approx(loop.suggestion.value, rel=0.2)


def test_tuning_a_model_that_cannot_be_stacked_says_what_stands_in_the_way(configured, silent, tmp_path):
    # The budget is one that a stack would need hundreds of trials for.
    run, result = run_tune(branching(configured()), tmp_path, silent, budget=40)
    summary = json.loads((run.folder.path / "summary.json").read_text())
    assert summary["engine"]["name"] == "loop"
    assert "test_engines.py" in summary["engine"]["reason"] and "item" in summary["engine"]["reason"]
    assert summary["cost"]["trained_runs"] <= summary["cost"]["planned_runs"] <= 8 * 40 and result.trials > 10


def test_whether_trials_stack_is_known_beforehand(configured):
    assert stacks(configured()) == "yes"
    assert stacks(branching(configured())).startswith("no: ") and "item" in stacks(branching(configured()))
    assert "bf16" in stacks(replace(configured(), recipe=Recipe(configured().recipe.optimizer, precision="bf16")))


@pytest.fixture
def timed(monkeypatch, tmp_path):
    """A clock that only the engines move: seconds for each update of a trial, by engine; gives what was trained."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    now, trained = [0.0], []

    def timed(loop, stack, really):
        monkeypatch.setattr("lrtool.engine.choice.known_loop_speed", lambda *_: LoopSpeed(loop, 0.0, 0.0))
        table = {2: 2 * stack, 4: 4 * stack}
        monkeypatch.setattr("lrtool.engine.vector.costs.stack_speed", lambda *_: StackSpeed(table, {}, 0.0, 1))
        monkeypatch.setattr("lrtool.engine.vector.costs.grown", lambda *_: True)
        monkeypatch.setattr("lrtool.engine.vector.plan.missing_compiler", lambda _: "none here")
        monkeypatch.setattr("lrtool.engine.choice.can_fork", lambda _: False)
        monkeypatch.setattr("lrtool.experiments.engines.clock.worked", lambda: now[0])
        for kind, name in ((LoopEngine, "loop"), (VectorEngine, "vector")):
            monkeypatch.setattr(kind, "run", watched(kind.run, name, really[name]))
        return trained

    def watched(run, name, seconds):
        def watched(engine, task, trials, recipe, observer=None):
            traces = run(replace(engine, planned=None) if name == "vector" else engine, task, trials, recipe, observer)
            now[0] += seconds * sum(trace.steps for trace in traces)
            trained.append((name, len(trials)))
            return traces

        return watched

    return timed


def test_a_stack_that_turns_out_slow_leaves_the_rest_to_the_loop(trials, timed):
    setup, several = trials
    many = [several[number % 3] for number in range(40)]
    trained = timed(0.02, 0.01, {"loop": 0.02, "vector": 0.2})
    engines, watched = Engines(), Numbers()
    traces = engines.run(setup.task, many, setup.recipe, watched)
    (first, *others) = trained
    assert first[0] == "vector" and {name for name, _ in others} == {"loop"}
    assert first[1] < 40 and first[1] + sum(count for _, count in others) == 40
    assert [trace.trial for trace in traces] == many
    # Nothing is trained twice, and whoever watches sees one call.
    assert sorted(watched.ended_) == list(range(40))
    del trained[:]
    engines.run(setup.task, many, setup.recipe)
    assert {name for name, _ in trained} == {"loop"}


def test_so_does_a_loop_that_turns_out_slow(trials, timed):
    setup, several = trials
    many = [several[number % 3] for number in range(40)]
    trained = timed(0.02, 0.03, {"loop": 0.2, "vector": 0.03})
    Engines().run(setup.task, many, setup.recipe)
    assert trained[0][0] == "loop" and trained[-1][0] == "vector"


def test_who_keeps_pace_goes_on(trials, timed):
    setup, several = trials
    many = [several[number % 3] for number in range(40)]
    trained = timed(0.02, 0.01, {"loop": 0.02, "vector": 0.01})
    Engines().run(setup.task, many, setup.recipe)
    assert {name for name, _ in trained} == {"vector"} and sum(count for _, count in trained) == 40


def test_what_was_seen_is_known_to_the_next_command(trials, timed):
    setup, several = trials
    many = [several[number % 3] for number in range(40)]
    trained = timed(0.02, 0.01, {"loop": 0.02, "vector": 0.2})
    Engines().run(setup.task, many, setup.recipe)
    del trained[:]
    Engines().run(setup.task, many, setup.recipe)
    assert {name for name, _ in trained} == {"loop"}


class Numbers(Observer):
    """The trials that ended."""

    def __init__(self):
        self.ended_ = []

    def ended(self, trial, trace):
        self.ended_.append(trial)


def test_a_crowded_machine_whose_clock_stands_still_says_nothing_of_an_engine(trials, timed):
    setup, several = trials
    trained = timed(0.02, 0.01, {"loop": -0.02, "vector": -0.01})
    Engines().run(setup.task, [several[number % 3] for number in range(40)], setup.recipe)
    assert {name for name, _ in trained} == {"vector"}
