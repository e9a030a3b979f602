# ruff: noqa: NPY002 - numpy's global state is what is tested here
"""What every engine must do. Each engine's tests subclass `EngineContract` and give it the `engine` fixture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lrtool.analysis.divergence import DivergenceRule, first_divergence
from lrtool.engine.observer import Observer
from lrtool.engine.trials import Engine, Evaluation, Recipe, Trace, Trial
from lrtool.errors import TaskError
from lrtool.optimizers import KINDS
from lrtool.schedules.curve import Curve
from lrtool.status import Status
from lrtool.tasks.base import Metric, Task, seeded_model
from lrtool.tasks.sources import BatchOrder, TensorSource

FEATURES, CLASSES, SAMPLES, BATCH = 6, 3, 84, 8

#: The optimizer's kind and fields, and the same from torch.
OPTIMIZERS: dict[str, tuple[str, dict[str, Any], Callable[..., torch.optim.Optimizer]]] = {
    "sgd": ("sgd", {}, lambda p, lr: torch.optim.SGD(p, lr)),
    "momentum": ("sgd", {"momentum": 0.9}, lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9)),
    "nesterov": (
        "sgd",
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9, nesterov=True, weight_decay=0.01),
    ),
    "adam": ("adam", {}, lambda p, lr: torch.optim.Adam(p, lr)),
    "adamw": ("adamw", {"weight_decay": 0.1}, lambda p, lr: torch.optim.AdamW(p, lr, weight_decay=0.1)),
    "rmsprop": ("rmsprop", {}, lambda p, lr: torch.optim.RMSprop(p, lr)),
    "adagrad": ("adagrad", {}, lambda p, lr: torch.optim.Adagrad(p, lr)),
}
#: A sensible peak LR for each of them.
LR = {"sgd": 0.3, "momentum": 0.05, "nesterov": 0.05, "adam": 0.01, "adamw": 0.01, "rmsprop": 0.003, "adagrad": 0.05}


#: Used by all tests to which the optimizer does not matter: an engine that compiles then compiles once for all of them.
PLAIN = KINDS["sgd"](lr=0.1, momentum=0.9)


def small_task(dtype: torch.dtype = torch.float32, *, val: bool = True, dropout: float = 0.0) -> Task:
    """A classification problem that a small network learns in a few dozen updates."""
    generator = torch.Generator().manual_seed(7)
    inputs = torch.randn(SAMPLES + 21, FEATURES, generator=generator, dtype=torch.float64).to(dtype)
    target = (inputs[:, :CLASSES] + 0.5 * inputs[:, CLASSES:]).argmax(1)

    def new_model() -> nn.Module:
        layers = [nn.Linear(FEATURES, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, CLASSES)]
        return nn.Sequential(*layers).to(dtype)

    accuracy = Metric("accuracy", lambda output, truth: output.argmax(-1) == truth)
    train = TensorSource((inputs[:SAMPLES],), target[:SAMPLES])
    held_out = TensorSource((inputs[SAMPLES:],), target[SAMPLES:]) if val else None
    return Task("small", new_model, train, held_out, BATCH, nn.functional.cross_entropy, {"accuracy": accuracy})


def falling(peak: float, steps: int) -> Curve:
    """A curve with a different value at every step."""
    return Curve(lambda t: peak * (1 - 0.7 * t / steps), steps, peak)


def flat(value: float, steps: int) -> Curve:
    """A curve that stays."""
    return Curve(lambda t: np.full_like(t, value), steps, value)


def trial(seed: int, steps: int, lr: float, **curves: Curve) -> Trial:
    """A trial whose LR falls from `lr`."""
    return Trial(seed, steps, {"lr": falling(lr, steps), **curves})


@dataclass
class Reference:
    """What a hand-written loop measured."""

    loss: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)
    grad_norm_l1: list[float] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)


def reference(
    task: Task, one: Trial, recipe: Recipe, build: Callable[..., torch.optim.Optimizer], **moving: str
) -> Reference:
    """A plain torch loop; `moving` maps a curve's name to the key of torch's parameter groups it drives."""
    assert isinstance(task.train, TensorSource) and task.loss is not None
    model, order = seeded_model(task, one.seed), BatchOrder(one.seed, len(task.train), task.batch_size)
    optimizer, out = build(model.parameters(), one.curves["lr"].peak), Reference()
    batches = [
        torch.from_numpy(rows)
        for epoch in range(one.steps * recipe.accumulate // order.per_epoch + 1)
        for rows in order.epoch(epoch)
    ]
    for step in range(one.steps):
        for group in optimizer.param_groups:
            group["lr"] = one.curves["lr"](step)
            for name, key in moving.items():
                group[key] = one.curves[name](step)
        optimizer.zero_grad()
        losses = []
        for rows in batches[step * recipe.accumulate : (step + 1) * recipe.accumulate]:
            batch = task.train.take(rows)
            loss = task.loss(batch.forward(model), batch.target) / recipe.accumulate
            loss.backward()
            losses.append(loss.item())
        limit = float("inf") if recipe.clip_norm is None else recipe.clip_norm
        out.grad_norm_l1.append(sum(p.grad.abs().sum().item() for p in model.parameters() if p.grad is not None))
        out.grad_norm.append(nn.utils.clip_grad_norm_(model.parameters(), limit).item())
        optimizer.step()
        out.loss.append(sum(losses))
        done = step + 1
        if task.val is not None and (done == one.steps or (recipe.eval_every and done % recipe.eval_every == 0)):
            out.evaluations.append(Evaluation(done, _validate(task, model)))
    return out


def _validate(task: Task, model: nn.Module) -> dict[str, float]:
    assert isinstance(task.val, TensorSource) and task.loss is not None
    with torch.no_grad():
        output = model(*task.val.inputs)
        accuracy = (output.argmax(-1) == task.val.target).double().mean().item()
        return {"val_loss": task.loss(output, task.val.target).item(), "val_accuracy": accuracy}


class Recording(Observer):
    """An observer that keeps what it hears."""

    def __init__(self) -> None:
        self.losses: dict[int, list[float]] = {}
        self.evaluations: dict[int, list[Evaluation]] = {}
        self.traces: dict[int, Trace] = {}
        self.gaps = 0
        self.begun: list[Sequence[Trial]] = []

    def begin(self, trials: Sequence[Trial], first: int = 0) -> None:
        assert not self.losses and not self.traces and first == 0
        self.begun.append(trials)

    def recorded(self, trial: int, trace: Trace, start: int) -> None:
        heard = self.losses.setdefault(trial, [])
        self.gaps += len(heard) != start
        heard.extend(trace.train_loss[start:])

    def evaluated(self, trial: int, evaluation: Evaluation) -> None:
        self.evaluations.setdefault(trial, []).append(evaluation)

    def ended(self, trial: int, trace: Trace) -> None:
        assert trial not in self.traces
        self.traces[trial] = trace


def agrees(trace: Trace, expected: Reference, rtol: float) -> None:
    """A trace's losses and evaluations are the reference's."""
    np.testing.assert_allclose(trace.train_loss, expected.loss, rtol=rtol)
    assert [each.step for each in trace.evaluations] == [each.step for each in expected.evaluations]
    for got, want in zip(trace.evaluations, expected.evaluations, strict=True):
        assert dict(got.values) == pytest.approx(dict(want.values), rel=10 * rtol)


class EngineContract:
    """The contract; subclasses override the `engine` fixture."""

    @pytest.fixture
    def engine(self) -> Engine:
        raise NotImplementedError("give the engine to test")

    @pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_equals_a_plain_torch_loop(self, engine: Engine, name: str, dtype: torch.dtype, rtol: float) -> None:
        kind, fields, build = OPTIMIZERS[name]
        recipe = Recipe(KINDS[kind](lr=LR[name], **fields), eval_every=20)
        task, one = small_task(dtype), trial(3, 50, LR[name])
        (trace,) = engine.run(task, [one], recipe)
        assert trace.status is Status.FINISHED and trace.steps == 50 and trace.reason == ""
        agrees(trace, reference(task, one, recipe, build), rtol)

    def test_clips_and_reports_the_norm_before(self, engine: Engine) -> None:
        kind, fields, build = OPTIMIZERS["momentum"]
        recipe = Recipe(KINDS[kind](lr=0.1, **fields), clip_norm=0.4, record_grad_norm=True)
        task, one = small_task(torch.float64), trial(1, 30, 0.1)
        (trace,) = engine.run(task, [one], recipe)
        expected = reference(task, one, recipe, build)
        agrees(trace, expected, 1e-9)
        np.testing.assert_allclose(trace.recorded["grad_norm"], expected.grad_norm, rtol=1e-9)
        np.testing.assert_allclose(trace.recorded["grad_norm_l1"], expected.grad_norm_l1, rtol=1e-9)
        assert max(expected.grad_norm) > 0.4 > min(expected.grad_norm)

    def test_accumulates_batches_in_order(self, engine: Engine) -> None:
        kind, fields, build = OPTIMIZERS["adam"]
        recipe = Recipe(KINDS[kind](lr=0.01, **fields), accumulate=3, eval_every=8)
        task, one = small_task(torch.float64), trial(2, 20, 0.01)
        (trace,) = engine.run(task, [one], recipe)
        agrees(trace, reference(task, one, recipe, build), 1e-9)

    def test_other_hyperparameters_follow_their_curves(self, engine: Engine) -> None:
        kind, fields, build = OPTIMIZERS["momentum"]
        moving = {"momentum": falling(0.95, 30), "weight_decay": falling(0.02, 30)}
        task, one = small_task(torch.float64), trial(4, 30, 0.05, **moving)
        recipe = Recipe(KINDS[kind](lr=0.05, **fields))
        (trace,) = engine.run(task, [one], recipe)
        expected = reference(task, one, recipe, build, momentum="momentum", weight_decay="weight_decay")
        agrees(trace, expected, 1e-9)
        for name, curve in moving.items():
            np.testing.assert_array_equal(trace.recorded[name], curve.table())

    def test_a_trials_own_hyperparameters_are_used(self, engine: Engine) -> None:
        kind, fields, _ = OPTIMIZERS["momentum"]
        task = small_task(torch.float64)
        one = replace(trial(4, 20, 0.05), hyperparameters={"momentum": 0.5})
        recipe = Recipe(KINDS[kind](lr=0.05, **fields))
        (trace,) = engine.run(task, [one], recipe)
        agrees(trace, reference(task, one, recipe, lambda p, lr: torch.optim.SGD(p, lr, momentum=0.5)), 1e-9)

    def test_records_the_lr_it_used(self, engine: Engine) -> None:
        one = trial(0, 25, 0.1)
        (trace,) = engine.run(small_task(), [one], Recipe(KINDS["sgd"](lr=0.1)))
        np.testing.assert_array_equal(trace.lr, one.curves["lr"].table())
        assert trace.seconds.shape == (25,) and (trace.seconds > 0).all()

    def test_same_trials_same_traces(self, engine: Engine) -> None:
        trials, recipe = [trial(seed, 30, 0.1) for seed in (0, 1)], Recipe(PLAIN, eval_every=10)
        first, second = (engine.run(small_task(torch.float64), trials, recipe) for _ in range(2))
        for one, other in zip(first, second, strict=True):
            np.testing.assert_array_equal(one.train_loss, other.train_loss)
            assert one.evaluations == other.evaluations

    def test_company_does_not_matter(self, engine: Engine) -> None:
        recipe = Recipe(PLAIN, eval_every=10)
        trials = [trial(seed, 20 + 5 * seed, 0.1 / (1 + seed)) for seed in range(5)]
        task = small_task(torch.float64)
        together = engine.run(task, trials, recipe)
        for one, trace in zip(trials, together, strict=True):
            (alone,) = engine.run(task, [one], recipe)
            assert trace.trial is one and trace.steps == one.steps
            np.testing.assert_allclose(trace.train_loss, alone.train_loss, rtol=1e-10)

    def test_a_seed_decides_weights_and_batches(self, engine: Engine) -> None:
        trials = [trial(0, 20, 0.1), trial(0, 20, 0.2), trial(1, 20, 0.1)]
        same, faster, other = engine.run(small_task(torch.float64), trials, Recipe(PLAIN))
        assert same.train_loss[0] == pytest.approx(faster.train_loss[0], rel=1e-12)
        assert same.train_loss[1] != faster.train_loss[1]
        assert same.train_loss[0] != other.train_loss[0]

    def test_same_batches_for_the_same_seed(self, engine: Engine) -> None:
        # At an LR this small the weights stay, so each loss tells which batch it came from.
        trials = [trial(5, 30, lr) for lr in (1e-12, 2e-12)]
        first, second = engine.run(small_task(torch.float64), trials, Recipe(PLAIN))
        np.testing.assert_allclose(first.train_loss, second.train_loss, rtol=1e-9)
        assert len(np.unique(first.train_loss.round(9))) == 30

    @pytest.mark.parametrize("eval_every", [0, 7, 40])
    def test_evaluates_on_time_and_at_the_end(self, engine: Engine, eval_every: int) -> None:
        recipe = Recipe(KINDS["sgd"](lr=0.1), eval_every=eval_every)
        (trace,) = engine.run(small_task(), [trial(0, 30, 0.1)], recipe)
        expected = [7, 14, 21, 28, 30] if eval_every == 7 else [30]
        assert [each.step for each in trace.evaluations] == expected
        assert set(trace.evaluations[0].values) == {"val_loss", "val_accuracy"}

    def test_evaluating_does_not_change_training(self, engine: Engine) -> None:
        task, one = small_task(), trial(0, 30, 0.1)
        often, never = (
            engine.run(chosen, [one], Recipe(KINDS["sgd"](lr=0.1), eval_every=every))[0]
            for chosen, every in ((task, 3), (small_task(val=False), 0))
        )
        np.testing.assert_array_equal(often.train_loss, never.train_loss)
        assert never.evaluations == []

    @pytest.mark.parametrize("stop", [True, False])
    def test_a_non_finite_loss_ends_a_trial_and_no_other(self, engine: Engine, stop: bool) -> None:
        trials = [trial(0, 60, 0.1), Trial(0, 60, {"lr": flat(1e30, 60)}), trial(1, 60, 0.1)]
        recipe = Recipe(KINDS["sgd"](lr=0.1, momentum=0.9), stop_on_divergence=stop, eval_every=20)
        watched = Recording()
        first, lost, last = engine.run(_explosive(), trials, recipe, watched)
        assert lost.status is Status.DIVERGED and "update" in lost.reason
        assert lost.steps < 60 and not np.isfinite(lost.train_loss[-1])
        assert np.isfinite(lost.train_loss[:-1]).all()
        assert lost.lr.shape == lost.seconds.shape == (lost.steps,)
        assert all(each.step < lost.steps for each in lost.evaluations)
        assert watched.traces[1].steps == lost.steps
        for trace, one in ((first, trials[0]), (last, trials[2])):
            (alone,) = engine.run(_explosive(), [one], recipe)
            assert trace.status is Status.FINISHED
            np.testing.assert_allclose(trace.train_loss, alone.train_loss, rtol=1e-5)

    def test_an_exploding_loss_ends_a_trial_where_the_rule_says(self, engine: Engine) -> None:
        rule = DivergenceRule(factor=1.5, noise=2.0, patience=3, warmup=10)
        rising = Curve(lambda t: 1e-3 * 1.12**t, 120, 1.0)
        recipe = Recipe(KINDS["sgd"](lr=1.0), divergence_rule=rule, stop_on_divergence=False)
        one = Trial(0, 120, {"lr": rising})
        (whole,) = engine.run(small_task(), [one], recipe)
        (cut,) = engine.run(small_task(), [one], replace(recipe, stop_on_divergence=True))
        at = first_divergence(whole.train_loss, rule)
        assert at is not None and np.isfinite(whole.train_loss[: at + 1]).all()
        assert cut.status is Status.DIVERGED and cut.steps == at + 1
        np.testing.assert_allclose(cut.train_loss, whole.train_loss[: at + 1], rtol=1e-6)

    def test_the_observer_hears_everything_once(self, engine: Engine) -> None:
        watched, trials = Recording(), [trial(seed, 40, 0.1) for seed in range(3)]
        traces = engine.run(small_task(torch.float64), trials, Recipe(PLAIN, eval_every=15), watched)
        assert watched.gaps == 0
        for number, trace in enumerate(traces):
            assert watched.losses[number] == list(trace.train_loss)
            assert watched.evaluations[number] == trace.evaluations
            assert watched.traces[number].status is Status.FINISHED

    def test_the_observer_hears_of_the_trials_first(self, engine: Engine) -> None:
        trials, watched = [trial(seed, 12 + seed, 0.1) for seed in range(3)], Recording()
        engine.run(small_task(torch.float64), trials, Recipe(PLAIN), watched)
        assert [[each.steps for each in begun] for begun in watched.begun] == [[12, 13, 14]]

    def test_leaves_the_random_state_alone(self, engine: Engine) -> None:
        torch.manual_seed(11)
        np.random.seed(11)
        before, before_numpy = torch.get_rng_state(), np.random.get_state()[1].copy()
        trials = [trial(seed, 20, 0.1) for seed in (0, 1)]
        engine.run(small_task(dropout=0.5), trials, Recipe(KINDS["sgd"](lr=0.1), eval_every=5))
        assert torch.equal(torch.get_rng_state(), before)
        np.testing.assert_array_equal(np.random.get_state()[1], before_numpy)

    def test_dropout_is_drawn_from_the_trials_seed(self, engine: Engine) -> None:
        recipe, task = Recipe(KINDS["sgd"](lr=0.1)), small_task(dropout=0.5)
        first, other = engine.run(task, [trial(0, 20, 0.1), trial(1, 20, 0.1)], recipe)
        torch.manual_seed(999)
        again, _ = engine.run(task, [trial(0, 20, 0.1), trial(1, 20, 0.1)], recipe)
        (without,) = engine.run(small_task(), [trial(0, 20, 0.1)], recipe)
        np.testing.assert_array_equal(first.train_loss, again.train_loss)
        assert (first.train_loss != other.train_loss).all()
        assert first.train_loss[0] != without.train_loss[0]

    def test_a_failing_loss_is_a_task_error(self, engine: Engine) -> None:
        def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("shapes do not fit")

        with pytest.raises(TaskError, match=r"(?s)contract\.py:\d+.*RuntimeError: shapes do not fit"):
            engine.run(replace(small_task(), loss=loss), [trial(0, 5, 0.1)], Recipe(KINDS["sgd"](lr=0.1)))


def _explosive() -> Task:
    """The small task with a loss that is infinite once the outputs are."""

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(output, target) + output.square().mean()

    return replace(small_task(), loss=loss)
