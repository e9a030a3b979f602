"""The loop engine: the engine contract, and what only it can do."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lrtool.analysis.divergence import RANGE_TEST
from lrtool.engine import recorder
from lrtool.engine.loop import precision
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.loop.training import Best, Training
from lrtool.engine.trials import Engine, Recipe, Trace, Trial
from lrtool.errors import ExitCode, Interrupted, TaskError, UsageError
from lrtool.optimizers import KINDS
from lrtool.schedules.curve import Curve
from lrtool.schedules.plateau import Plateau
from lrtool.status import Status
from lrtool.tasks.base import Task, seeded_model
from lrtool.tasks.sources import Batch
from tests.engine.contract import EngineContract, Recording, falling, flat, small_task, trial

SGD = KINDS["sgd"](lr=0.1, momentum=0.9)


class TestLoopEngine(EngineContract):
    @pytest.fixture
    def engine(self) -> Engine:
        return LoopEngine()


class TestSideBySide(EngineContract):
    @pytest.fixture
    def engine(self) -> Engine:
        return LoopEngine(workers=2)


def test_several_workers_give_what_one_gives_to_the_last_bit() -> None:
    task, recipe = small_task(dropout=0.3), Recipe(SGD, eval_every=7, record_grad_norm=True)
    trials = [trial(seed, 20 + seed, 0.1) for seed in range(5)]
    alone, together = LoopEngine().run(task, trials, recipe), LoopEngine(workers=3).run(task, trials, recipe)
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.train_loss, two.train_loss)
        np.testing.assert_array_equal(one.recorded["grad_norm"], two.recorded["grad_norm"])
        assert (one.trial, one.status, one.evaluations) == (two.trial, two.status, two.evaluations)


def test_several_workers_are_processes_of_one_thread() -> None:
    class Telling(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError(f"process {os.getpid()} with {torch.get_num_threads()} threads")

    task = replace(small_task(), new_model=lambda: Telling(6, 3))
    with pytest.raises(TaskError, match="with 1 threads") as failure:
        LoopEngine(workers=2).run(task, [trial(seed, 5, 0.1) for seed in range(2)], Recipe(SGD))
    assert f"process {os.getpid()} " not in str(failure.value)


def test_several_workers_have_no_hooks() -> None:
    with pytest.raises(ValueError, match="2 workers; use one"):
        LoopEngine(workers=2, best=lambda *_: None)


def run(task: Task, one: Trial, recipe: Recipe, **hooks: Any) -> Trace:
    return LoopEngine(**hooks).run(task, [one], recipe)[0]


def trained(task: Task, one: Trial, recipe: Recipe) -> Training:
    """The same without the engine, which keeps its models to itself."""
    training = Training(task, one, recipe)
    while training.step < one.steps:
        assert training.advance()
        training.evaluate_if_due()
    return training


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    exploding = Trial(0, 120, {"lr": Curve(lambda t: 1e-3 * 1.12**t, 120, 1.0)})
    recipe = Recipe(SGD, eval_every=20, divergence_rule=RANGE_TEST)
    usual = LoopEngine().run(small_task(), [trial(0, 50, 0.1), exploding], recipe)
    # With this many seconds to a chunk only the limit decides.
    monkeypatch.setattr(recorder, "_CHUNK_SECONDS", 1e6)
    monkeypatch.setattr(recorder, "_MAX_CHUNK", chunk)
    other = LoopEngine().run(small_task(), [trial(0, 50, 0.1), exploding], recipe)
    assert usual[1].status is Status.DIVERGED and 20 < usual[1].steps < 120
    for one, two in zip(usual, other, strict=True):
        np.testing.assert_array_equal(one.train_loss, two.train_loss)
        assert (one.status, one.reason, one.evaluations) == (two.status, two.reason, two.evaluations)


def test_losses_come_to_the_host_a_chunk_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "_CHUNK_SECONDS", 1e6)
    flushes: list[int] = []
    original = recorder.Recorder.flush

    def counted(self: recorder.Recorder) -> bool:
        flushes.append(self.trace.steps)
        return original(self)

    monkeypatch.setattr(recorder.Recorder, "flush", counted)
    run(small_task(), trial(0, 400, 0.01), Recipe(SGD))
    assert flushes == [0, 1, 3, 7, 15, 31, 63, 127, 255]


def test_batch_norm_is_evaluated_by_its_buffers_and_left_in_training_mode() -> None:
    def new_model() -> nn.Module:
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))

    task = replace(small_task(), new_model=new_model)
    seen = [trained(task, trial(0, 20, 0.1), Recipe(SGD, eval_every=every)) for every in (2, 0)]
    np.testing.assert_array_equal(seen[0].trace.train_loss, seen[1].trace.train_loss)
    often, once = (dict(training.model.named_buffers()) for training in seen)
    assert all(torch.equal(often[name], once[name]) for name in once)
    assert int(once["1.num_batches_tracked"]) == 20
    assert all(module.training for module in seen[0].model.modules())


def test_validation_weighs_samples_not_batches() -> None:
    # 21 samples in batches of 16 and 5: the mean of the two batch means would differ.
    task = small_task(torch.float64)
    training = trained(task, trial(0, 5, 0.1), Recipe(SGD))
    assert task.val is not None and task.loss is not None
    batch = task.val.take(torch.arange(21))
    expected = task.loss(batch.forward(training.model), batch.target).item()
    assert training.trace.evaluations[-1].values["val_loss"] == pytest.approx(expected, rel=1e-7)


def test_best_weights_are_those_of_the_lowest_val_loss() -> None:
    best: dict[int, Best] = {}
    task = small_task(torch.float64)
    # The LR rises until training gets worse again.
    one = Trial(0, 60, {"lr": replace(falling(1, 60), values=lambda t: 0.02 * 1.1**t)})
    recipe = Recipe(KINDS["sgd"](lr=0.1), eval_every=5, stop_on_divergence=False)
    trace = run(task, one, recipe, best=best.__setitem__)
    losses = {each.step: each.values["val_loss"] for each in trace.evaluations}
    lowest = min(losses, key=losses.__getitem__)
    assert lowest < 60
    assert (best[0].step, best[0].value) == (lowest, losses[lowest])
    model = seeded_model(task, 9)
    model.load_state_dict(dict(best[0].weights))
    assert task.val is not None and task.loss is not None
    batch = task.val.take(torch.arange(21))
    assert task.loss(batch.forward(model), batch.target).item() == pytest.approx(best[0].value, rel=1e-6)


@pytest.mark.parametrize(("name", "higher"), [("val_accuracy", True), ("val_accuracy", False), ("train_loss", True)])
def test_best_weights_go_by_what_the_recipe_names(name: str, higher: bool) -> None:
    best: dict[int, Best] = {}
    task = small_task()
    task = replace(task, metrics={"accuracy": replace(task.metrics["accuracy"], higher_is_better=higher)})
    recipe = Recipe(SGD, eval_every=3, best=name)
    trace = run(task, trial(0, 30, 0.5), recipe, best=best.__setitem__)
    if name == "train_loss":
        values = trace.train_loss.reshape(-1, 3).mean(1)
        wanted = int(values.argmin())
    else:
        values = np.array([each.values[name] for each in trace.evaluations])
        wanted = int(values.argmax() if higher else values.argmin())
    assert (best[0].step, best[0].value) == (3 * wanted + 3, pytest.approx(values[wanted]))


def test_without_validation_the_best_is_by_mean_training_loss() -> None:
    best: dict[int, Best] = {}
    trace = run(small_task(val=False), trial(0, 40, 0.1), Recipe(SGD, eval_every=10), best=best.__setitem__)
    means = trace.train_loss.reshape(4, 10).mean(1)
    assert best[0].step == 10 * (int(means.argmin()) + 1)
    assert best[0].value == pytest.approx(means.min())


def test_a_plateau_lowers_the_lr_after_evaluations() -> None:
    # The loss falls, so under `max` no evaluation is better than the first.
    plateau = Plateau(factor=0.5, patience=0, metric="val_loss", mode="max")
    one = trial(0, 40, 0.1)
    trace = run(small_task(), one, Recipe(SGD, eval_every=10, plateau=plateau))
    np.testing.assert_array_equal(trace.lr, one.curves["lr"].table() * np.repeat([1, 1, 0.5, 0.25], 10))


def test_a_plateau_needs_evaluations_and_a_metric_they_give() -> None:
    with pytest.raises(UsageError, match=r"train\.eval_every"):
        run(small_task(), trial(0, 5, 0.1), Recipe(SGD, plateau=Plateau()))
    with pytest.raises(UsageError, match=r"plateau\.metric.*'val_f1'.*val_loss"):
        run(small_task(), trial(0, 5, 0.1), Recipe(SGD, eval_every=2, plateau=Plateau(metric="val_f1")))


class FakeScaler:
    """A gradient scaler that skips the optimizer's step at given calls."""

    def __init__(self, skips: set[int]) -> None:
        self.skips, self.calls = skips, 0

    def scale(self, loss: Tensor) -> Tensor:
        return loss

    def unscale_(self, optimizer: torch.optim.Optimizer) -> None: ...

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        if self.calls not in self.skips:
            optimizer.step()
        self.calls += 1

    def update(self) -> None: ...


def test_an_update_that_amp_skips_does_not_move_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    scaler = FakeScaler({0, 1, 7})
    monkeypatch.setattr(precision, "new_scaler", lambda device: scaler)
    one = trial(0, 20, 0.1)
    skipping = run(small_task(), one, Recipe(SGD, precision="fp16"))
    monkeypatch.setattr(precision, "new_scaler", lambda device: FakeScaler(set()))
    smooth = run(small_task(), one, Recipe(SGD, precision="fp16"))
    assert scaler.calls == 23 and skipping.steps == 20
    np.testing.assert_array_equal(skipping.lr, one.curves["lr"].table())
    np.testing.assert_array_equal(skipping.train_loss, smooth.train_loss)


def test_updates_that_are_skipped_for_ever_end_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "new_scaler", lambda device: FakeScaler(set(range(5, 999))))
    trace = run(small_task(), trial(0, 20, 0.1), Recipe(SGD, precision="fp16"))
    assert (trace.status, trace.steps) == (Status.DIVERGED, 5)
    assert "loss scale at update 5" in trace.reason


def test_a_hidden_skip_is_seen_by_the_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hidden(FakeScaler):
        """As with fused optimizers: `step` always runs, the scale falls where it did nothing."""

        current = 8.0

        def step(self, optimizer: torch.optim.Optimizer) -> None:
            self.current = 4.0 if self.calls in self.skips else self.current
            self.calls += 1

        def get_scale(self) -> float:
            return self.current

    scaler = Hidden({2})
    monkeypatch.setattr(precision, "new_scaler", lambda device: scaler)
    monkeypatch.setattr(torch.optim.SGD, "_step_supports_amp_scaling", True, raising=False)
    trace = run(small_task(), trial(0, 6, 0.1), Recipe(SGD, precision="fp16"))
    assert (trace.steps, scaler.calls) == (6, 7)


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_reduced_precision_trains_near_full_precision(name: Any) -> None:
    one = trial(0, 40, 0.1)
    reduced, full = (run(small_task(), one, Recipe(SGD, precision=kind)) for kind in (name, "fp32"))
    assert reduced.status is Status.FINISHED
    np.testing.assert_allclose(reduced.train_loss, full.train_loss, atol=0.05)
    assert not np.array_equal(reduced.train_loss, full.train_loss)


def test_clipping_under_a_loss_scale_sees_true_gradients() -> None:
    recipe = Recipe(SGD, clip_norm=0.5, record_grad_norm=True)
    full, scaled = (run(small_task(), trial(0, 10, 0.1), replace(recipe, precision=p)) for p in ("fp32", "fp16"))
    np.testing.assert_allclose(scaled.recorded["grad_norm"], full.recorded["grad_norm"], rtol=0.05)


class BrokenAt(nn.Module):
    """A linear model whose forward fails at its n-th call."""

    def __init__(self, error: BaseException, call: int) -> None:
        super().__init__()
        self.layer, self.error, self.left = nn.Linear(6, 3), error, call

    def forward(self, x: Tensor) -> Tensor:
        self.left -= 1
        if self.left < 0:
            raise self.error
        out: Tensor = self.layer(x)
        return out


def test_a_failing_model_names_the_line_and_keeps_the_trace() -> None:
    watched = Recording()
    task = replace(small_task(), new_model=lambda: BrokenAt(ValueError("no more"), 7))
    with pytest.raises(TaskError, match=r"(?s)test_engine\.py:\d+: .*forward pass.*ValueError: no more"):
        LoopEngine().run(task, [trial(0, 20, 0.1)], Recipe(SGD), watched)
    assert watched.traces[0].status is Status.FAILED and "no more" in watched.traces[0].reason
    assert watched.traces[0].steps == len(watched.losses[0]) == 7


def test_running_out_of_memory_has_a_remedy() -> None:
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 8 GiB")
    task = replace(small_task(), new_model=lambda: BrokenAt(error, 2))
    with pytest.raises(TaskError, match=r"out of memory.*batch_size.*accumulate") as caught:
        LoopEngine().run(task, [trial(0, 20, 0.1)], Recipe(SGD))
    assert caught.value.exit_code is ExitCode.TASK


def test_a_model_that_cannot_be_built_is_a_task_error() -> None:
    def new_model() -> nn.Module:
        raise KeyError("width")

    with pytest.raises(TaskError, match=r"building the model.*KeyError"):
        run(replace(small_task(), new_model=new_model), trial(0, 5, 0.1), Recipe(SGD))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda output, target: nn.functional.cross_entropy(output, target, reduction="none"), "one number"),
        (lambda output, target: 1.0, "one number"),
        (lambda output, target: nn.functional.cross_entropy(output.detach(), target), "does not depend"),
        (lambda output, target: None, "no loss"),
    ],
)
def test_a_loss_that_cannot_be_trained_on_is_explained(loss: Any, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        run(replace(small_task(), loss=loss), trial(0, 5, 0.1), Recipe(SGD))


def test_a_failing_data_set_is_a_task_error() -> None:
    class Broken:
        def __len__(self) -> int:
            return 20

        def take(self, index: Tensor) -> Batch:
            raise FileNotFoundError("17.png")

        def to(self, device: torch.device) -> Broken:
            return self

    with pytest.raises(TaskError, match=r"data set.*FileNotFoundError: 17\.png"):
        run(replace(small_task(), train=Broken()), trial(0, 5, 0.1), Recipe(SGD))


def test_a_batch_larger_than_the_data_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"data\.batch_size: a batch of 200 does not fit 84 .* at most 84"):
        run(replace(small_task(), batch_size=200), trial(0, 5, 0.1), Recipe(SGD))


def test_a_model_may_return_its_own_loss_and_take_keywords() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 3)

        def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
            logits = self.layer(x)
            return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    base = small_task()

    class Mapped:
        def __len__(self) -> int:
            return len(base.train)

        def take(self, index: Tensor) -> Batch:
            batch = base.train.take(index)
            return Batch({"x": batch.inputs[0], "labels": batch.target}, None)  # type: ignore[index]

        def to(self, device: torch.device) -> Mapped:
            return self

    task = replace(base, new_model=Own, train=Mapped(), val=Mapped(), loss=None, metrics={})
    trace = run(task, trial(0, 40, 0.1), Recipe(SGD))
    assert trace.train_loss[-5:].mean() < trace.train_loss[:5].mean()
    assert set(trace.evaluations[-1].values) == {"val_loss"}


class SignalAt(Recording):
    """An observer that sends this process a signal once `step` updates are recorded."""

    def __init__(self, number: int, step: int) -> None:
        super().__init__()
        self.number, self.step, self.sent = number, step, False

    def recorded(self, trial: int, trace: Trace, start: int) -> None:
        super().recorded(trial, trace, start)
        if trace.steps >= self.step and not self.sent:
            self.sent = True
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_a_checkpoint_and_stops(number: int) -> None:
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    watched, saved = SignalAt(number, 10), {}
    with pytest.raises(Interrupted) as caught:
        LoopEngine(checkpoint=saved.__setitem__).run(small_task(), [trial(0, 5000, 0.1)], Recipe(SGD), watched)
    assert caught.value.exit_code == 128 + number
    trace = watched.traces[0]
    assert trace.status is Status.INTERRUPTED and 10 <= trace.steps < 5000
    assert saved[0].step == trace.steps == len(watched.losses[0])
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_keyboard_interrupt_inside_an_update_keeps_what_is_done() -> None:
    watched = Recording()
    task = replace(small_task(), new_model=lambda: BrokenAt(KeyboardInterrupt(), 7))
    with pytest.raises(KeyboardInterrupt):
        LoopEngine().run(task, [trial(0, 20, 0.1)], Recipe(SGD), watched)
    assert (watched.traces[0].status, watched.traces[0].steps) == (Status.INTERRUPTED, 7)


def test_hooks_hear_of_every_trial() -> None:
    steps: list[tuple[int, int]] = []
    ended: list[int] = []
    engine = LoopEngine(
        checkpoint=lambda number, checkpoint: steps.append((number, checkpoint.step)),
        checkpoint_every=8,
        best=lambda number, _: ended.append(number),
    )
    lost = Trial(0, 20, {"lr": flat(float("inf"), 20)})
    engine.run(small_task(), [trial(0, 20, 0.1), lost, trial(1, 10, 0.1)], Recipe(SGD))
    assert steps == [(0, 8), (0, 16), (0, 20), (2, 8), (2, 10)]
    assert ended == [0, 2]
