"""The vector engine against the contract, and what only it can get wrong."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lrtool.engine.device import intra_threads
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.processes import can_fork
from lrtool.engine.trials import Engine, Recipe, Trace, Trial
from lrtool.engine.vector.compiling import missing_compiler
from lrtool.engine.vector.engine import VectorEngine
from lrtool.engine.vector.obstacles import NotStackableError
from lrtool.engine.vector.speeds import StackSpeed
from lrtool.errors import Interrupted, TaskError
from lrtool.optimizers import KINDS, ParamGroup
from lrtool.schedules.plateau import Plateau
from lrtool.status import Status
from lrtool.tasks.base import Task
from tests.engine.contract import (
    CLASSES,
    FEATURES,
    OPTIMIZERS,
    EngineContract,
    Recording,
    flat,
    small_task,
    trial,
)

SGD = Recipe(KINDS["sgd"](lr=0.1, momentum=0.9))
STANDING_FOR_ALL = (("nesterov", torch.float64), ("adamw", torch.float32))


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class TestVectorEngine(EngineContract):
    @pytest.fixture
    def engine(self):
        return VectorEngine(compile=False)


class TestFewSlots(EngineContract):
    """Trials that wait for a slot are no different."""

    @pytest.fixture
    def engine(self):
        return VectorEngine(slots=2, compile=False)


#: Each of these is compiled, which takes seconds: two stand for all but in `make test-deep`.
COMPILED = [
    pytest.param(name, dtype, rtol, marks=() if (name, dtype) in STANDING_FOR_ALL else pytest.mark.deep)
    for name in OPTIMIZERS
    for dtype, rtol in ((torch.float32, 1e-5), (torch.float64, 1e-10))
]


@pytest.mark.skipif(missing_compiler(torch.device("cpu")) is not None, reason="nothing can be compiled here")
class TestCompiled(EngineContract):
    @pytest.fixture
    def engine(self):
        return VectorEngine(slots=2, compile=True, workers=1)

    @pytest.mark.parametrize(("name", "dtype", "rtol"), COMPILED)
    def test_equals_a_plain_torch_loop(self, engine: Engine, name: str, dtype: torch.dtype, rtol: float) -> None:
        super().test_equals_a_plain_torch_loop(engine, name, dtype, rtol)


def same(got: list[Trace], expected: list[Trace], rtol: float) -> None:
    for one, other in zip(got, expected, strict=True):
        assert (one.status, one.steps) == (other.status, other.steps)
        np.testing.assert_allclose(one.train_loss, other.train_loss, rtol=rtol)
        for here, there in zip(one.evaluations, other.evaluations, strict=True):
            assert here.step == there.step
            assert dict(here.values) == pytest.approx(dict(there.values), rel=10 * rtol)


def various(count: int) -> list[Trial]:
    """Trials that differ in seed, length, LR and momentum; some share a seed."""
    return [
        replace(
            trial(number % 5, 20 + 3 * (number % 4), 0.02 * (1 + number)), hyperparameters={"momentum": number / 20}
        )
        for number in range(count)
    ]


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("slots", [16, 3])
def test_sixteen_trials_equal_sixteen_loop_runs(slots: int, dtype: torch.dtype, rtol: float) -> None:
    task, recipe = small_task(dtype), replace(SGD, eval_every=8, clip_norm=1.0, accumulate=2)
    expected = LoopEngine().run(task, various(16), recipe)
    same(VectorEngine(slots=slots, compile=False).run(task, various(16), recipe), expected, rtol)


def test_a_compiled_stack_equals_the_loop() -> None:
    said: list[str] = []
    task, recipe = small_task(torch.float64), replace(SGD, eval_every=8, clip_norm=1.0, record_grad_norm=True)
    expected = LoopEngine().run(task, various(7), recipe)
    got = VectorEngine(slots=3, compile=True, workers=2, planned=lambda plan: said.append(plan.reason)).run(
        task, various(7), recipe
    )
    assert said[0].startswith("compiled in") and "2 x 3" in said[0]
    same(got, expected, 1e-10)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one.recorded["grad_norm"], other.recorded["grad_norm"], rtol=1e-9)


@pytest.mark.parametrize("kind", [kind for kind, spec in KINDS.kinds.items() if spec.stackable])
def test_parameter_groups_and_frozen_parameters(kind: str) -> None:
    def new_model() -> nn.Module:
        net = nn.Sequential(nn.Linear(FEATURES, 8), nn.Tanh(), nn.Linear(8, CLASSES)).double()
        net[2].bias.requires_grad_(False)
        return net

    groups = (ParamGroup(match="0.*", lr_scale=0.1, weight_decay=0.0), ParamGroup(match="*.weight", lr_scale=3))
    recipe = Recipe(KINDS[kind](lr=0.02, weight_decay=0.05, groups=groups))
    task, trials = replace(small_task(torch.float64), new_model=new_model), [trial(seed, 20, 0.02) for seed in (0, 1)]
    same(VectorEngine(compile=False).run(task, trials, recipe), LoopEngine().run(task, trials, recipe), 1e-9)


def test_batch_norm_validates_with_each_models_own_statistics() -> None:
    def new_model() -> nn.Module:
        return nn.Sequential(nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, CLASSES)).double()

    task = replace(small_task(torch.float64), new_model=new_model)
    trials, recipe = [trial(seed, 25, 0.1 + seed) for seed in range(3)], replace(SGD, eval_every=5)
    same(VectorEngine(compile=False).run(task, trials, recipe), LoopEngine().run(task, trials, recipe), 1e-9)


def test_nan_in_one_trial_only() -> None:
    # A huge LR turns that trial's weights into NaN; every other trial must be what it is alone.
    trials = [trial(0, 40, 0.1), Trial(0, 40, {"lr": flat(1e38, 40)}), trial(1, 40, 0.1), trial(2, 40, 0.1)]

    def loss(output: Tensor, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(output, target) + output.square().mean()

    task = replace(small_task(torch.float64), loss=loss)
    for slots in (4, 2):
        traces = VectorEngine(slots=slots, compile=False).run(task, trials, SGD)
        assert [trace.status for trace in traces].count(Status.DIVERGED) == 1
        assert traces[1].status is Status.DIVERGED and traces[1].steps < 40
        for number in (0, 2, 3):
            (alone,) = LoopEngine().run(task, [trials[number]], SGD)
            np.testing.assert_allclose(traces[number].train_loss, alone.train_loss, rtol=1e-9)


DRAWS: dict[str, Callable[[], nn.Module]] = {
    "dropout": lambda: nn.Sequential(nn.Linear(FEATURES, 16), nn.Dropout(0.5), nn.Linear(16, CLASSES)),
    "alpha": lambda: nn.Sequential(nn.Linear(FEATURES, 16), nn.AlphaDropout(0.3), nn.Linear(16, CLASSES)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_dropout_does_not_depend_on_company(name: str) -> None:
    task = replace(small_task(), new_model=DRAWS[name])
    trials = [trial(seed, 30, 0.1) for seed in (0, 1, 0, 2, 3)]
    together = VectorEngine(slots=5, compile=False).run(task, trials, SGD)
    for slots in (1, 2):
        same(VectorEngine(slots=slots, compile=False).run(task, trials, SGD), together, 1e-4)
    np.testing.assert_allclose(together[0].train_loss, together[2].train_loss, rtol=1e-4)
    assert (together[0].train_loss != together[1].train_loss).all()


def test_dropout_trains_as_well_as_the_loops() -> None:
    task = small_task(dropout=0.3)
    trials = [trial(seed, 120, 0.2) for seed in range(8)]
    stacked, looped = (e.run(task, trials, SGD) for e in (VectorEngine(compile=False), LoopEngine()))
    levels = [np.mean([trace.train_loss[-30:].mean() for trace in traces]) for traces in (stacked, looped)]
    assert levels[0] == pytest.approx(levels[1], rel=0.15)


@pytest.fixture(params=["processes", "threads"])
def side_by_side(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> VectorEngine:
    if request.param == "threads":
        monkeypatch.setattr("lrtool.engine.vector.engine.can_fork", lambda device: False)
    elif not can_fork(torch.device("cpu")):
        pytest.skip("processes cannot be forked on this machine")
    return VectorEngine(slots=2, compile=True, workers=2)


def test_workers_give_what_one_gives(side_by_side: VectorEngine) -> None:
    task, watched = small_task(torch.float64), Recording()
    recipe = replace(SGD, eval_every=8)
    got = side_by_side.run(task, various(9), recipe, watched)
    same(got, VectorEngine(compile=False).run(task, various(9), recipe), 1e-10)
    assert watched.gaps == 0 and sorted(watched.traces) == list(range(9))
    assert [trace.trial.seed for trace in got] == [trial.seed for trial in various(9)]


def _planned(monkeypatch: pytest.MonkeyPatch, forks: bool, parallel: Callable[..., float]) -> str:
    """What an engine that decides by itself says, on a machine with two cores."""
    monkeypatch.setattr("lrtool.engine.vector.plan.can_fork", lambda device: forks)
    monkeypatch.setattr("lrtool.engine.cost.calibration.in_parallel", parallel)
    said: list[str] = []
    with intra_threads(2):
        VectorEngine(compile=True, planned=lambda plan: said.append(plan.reason)).run(small_task(), various(8), SGD)
    return said[0]


def test_processes_take_every_core_and_threads_only_what_gains(monkeypatch: pytest.MonkeyPatch) -> None:
    if not can_fork(torch.device("cpu")):
        pytest.skip("processes cannot be forked on this machine")
    assert "2 x 4 trials" in _planned(monkeypatch, True, lambda *_: pytest.fail("processes are not measured"))
    # The time of so many threads that each do the same work: all at once, or one after the other.
    assert "2 x 4 trials" in _planned(monkeypatch, False, lambda work, workers, repeats: 1.0)
    assert "1 x 4 trials" in _planned(monkeypatch, False, lambda work, workers, repeats: float(workers))


def test_a_failing_worker_stops_the_others(side_by_side: VectorEngine) -> None:
    class Failing(Recording):
        def recorded(self, trial: int, trace: Trace, start: int) -> None:
            if trial == 1:
                raise TaskError("the disk is full")

    watched = Failing()
    with pytest.raises(TaskError, match="disk is full"):
        replace(side_by_side, slots=1).run(small_task(), various(4), SGD, watched)
    assert watched.traces[1].status is Status.FAILED


def test_a_signal_stops_every_worker_and_keeps_what_was_trained(side_by_side: VectorEngine) -> None:
    class Interrupting(Recording):
        def recorded(self, trial: int, trace: Trace, start: int) -> None:
            # A worker may begin long after the other.
            if trial not in heard and len(heard) == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            heard.add(trial)

    heard: set[int] = set()

    # So long that nobody is near the end by then.
    trials, watched = [trial(seed, 400_000, 0.01) for seed in range(4)], Interrupting()
    with pytest.raises(Interrupted) as raised:
        side_by_side.run(small_task(torch.float64), trials, SGD, watched)
    assert raised.value.signum == signal.SIGTERM
    assert {trace.status for trace in watched.traces.values()} == {Status.INTERRUPTED}
    assert all(0 < trace.steps < 400_000 for trace in watched.traces.values())


def test_a_daemonic_process_forks_no_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)  # type: ignore[attr-defined]
    assert not can_fork(torch.device("cpu"))


def test_a_process_that_is_killed_is_an_error_and_not_a_hang() -> None:
    if not can_fork(torch.device("cpu")):
        pytest.skip("processes cannot be forked on this machine")

    class Killing(Recording):
        def recorded(self, trial: int, trace: Trace, start: int) -> None:
            for child in multiprocessing.active_children():
                child.kill()

    with pytest.raises(TaskError, match="was killed by signal 9; memory may have run out"):
        VectorEngine(slots=1, compile=True, workers=2).run(
            small_task(), [trial(seed, 20_000, 0.01) for seed in range(2)], SGD, Killing()
        )
    assert not multiprocessing.active_children()


def said_by(task: Task, engine: VectorEngine, steps: int = 5) -> str:
    said: list[str] = []
    trials = [trial(seed, steps, 0.1) for seed in range(3)]
    traces = replace(engine, planned=lambda plan: said.append(plan.reason)).run(task, trials, SGD)
    assert all(trace.status is Status.FINISHED for trace in traces)
    (reason,) = said
    return reason


def test_without_a_compiler_it_trains_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise RuntimeError("no compiler")

    monkeypatch.setattr("torch._inductor.cpp_builder.get_cpp_compiler", none)
    assert "no C++ compiler" in said_by(small_task(), VectorEngine(compile=True))


def test_where_compiling_fails_it_trains_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("internal compiler error")

    monkeypatch.setattr("torch._inductor.compile_fx.compile_fx", fail)
    # Another test of this process may have compiled the same.
    monkeypatch.setattr("lrtool.engine.vector.compiling._KNOWN", {})
    assert "compiling failed (RuntimeError: internal compiler error)" in said_by(
        small_task(), VectorEngine(compile=True)
    )


def test_a_compile_that_would_not_pay_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrtool.engine.vector.plan.compiled", lambda graph: pytest.fail("compiled"))
    assert "it would save about" in said_by(small_task(), VectorEngine())
    monkeypatch.setattr("lrtool.engine.vector.costs.stack_speed", lambda *_: StackSpeed({2: 0.002}, {}, 0.0, 1))
    monkeypatch.setattr("lrtool.engine.vector.compiling.START", 1000.0)
    assert "it would take about 100" in said_by(small_task(), VectorEngine(), steps=1400)


@pytest.mark.parametrize(
    ("change", "says"),
    [({"precision": "fp16"}, "precision fp16"), ({"plateau": Plateau(), "eval_every": 2}, "plateau")],
)
def test_settings_that_do_not_stack_are_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(NotStackableError, match=says):
        VectorEngine().run(small_task(), [trial(0, 5, 0.1)], replace(SGD, **change))


def test_no_trials_no_traces() -> None:
    assert VectorEngine().run(small_task(), [], SGD) == []


@pytest.mark.skipif(sys.platform == "win32", reason="the peak of resident memory is read from POSIX's getrusage")
def test_thousands_of_trials_need_little_memory() -> None:
    code = """
        import resource, torch
        from torch import nn
        from lrtool.engine.trials import Recipe, Trial
        from lrtool.engine.vector.engine import VectorEngine
        from lrtool.optimizers import KINDS
        from lrtool.schedules import KINDS as SCHEDULES
        from lrtool.tasks.base import Task
        from lrtool.tasks.sources import TensorSource

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        torch.manual_seed(0)
        source = TensorSource((torch.randn(512, 16),), torch.randn(512, 1))
        task = Task("linear", lambda: nn.Linear(16, 1), source, None, 32, nn.functional.mse_loss)
        trials = [Trial(i % 50, 20, {"lr": SCHEDULES["cosine"]().bind(1e-3 * (1 + i), 20)}) for i in range(3000)]
        traces = VectorEngine(compile=False).run(task, trials, Recipe(KINDS["sgd"](lr=0.1)))
        assert len(traces) == 3000 and all(trace.steps for trace in traces)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, text=True)
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 2**29
