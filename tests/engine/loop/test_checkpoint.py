# ruff: noqa: NPY002 - numpy's global state is what is tested here
"""Checkpoints: exact resume, and files that are whole or refused."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lrtool.engine.loop.checkpoint import SCHEMA, TRACE, Checkpoint, latest, load, newest_usable, save, set_aside
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.loop.training import Best, Training
from lrtool.engine.observer import Observer
from lrtool.engine.trials import Recipe, Trace, Trial
from lrtool.errors import OutputError, TaskError, UsageError
from lrtool.optimizers import KINDS
from lrtool.schedules.plateau import Plateau
from lrtool.tasks.base import Task
from tests.engine.contract import falling, small_task, trial

STEPS = 60
RECIPES: dict[str, Recipe] = {
    "momentum": Recipe(KINDS["sgd"](lr=0.1, momentum=0.9), clip_norm=0.5, record_grad_norm=True),
    "adam": Recipe(KINDS["adam"](lr=0.01), eval_every=7),
    "accumulation": Recipe(KINDS["adamw"](lr=0.01, weight_decay=0.1), accumulate=3, eval_every=10),
    "rmsprop": Recipe(KINDS["rmsprop"](lr=0.003)),
    "plateau": Recipe(KINDS["sgd"](lr=0.1), eval_every=2, plateau=Plateau(factor=0.5, patience=0, mode="max")),
    "groups": Recipe(
        KINDS["adagrad"](lr=0.05, groups=[{"match": "*bias", "lr_scale": 3.0, "weight_decay": 0.0}], weight_decay=0.1)
    ),
    "bf16": Recipe(KINDS["adam"](lr=0.01), precision="bf16"),
    "fp16": Recipe(KINDS["sgd"](lr=0.1, momentum=0.9), precision="fp16", clip_norm=1.0),
}


def busy_task() -> Task:
    """Dropout, batch norm and a buffer that `state_dict` leaves out, all of which move with every update."""

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                nn.Linear(6, 12), nn.BatchNorm1d(12), nn.Tanh(), nn.Dropout(0.4), nn.Linear(12, 3)
            )
            self.register_buffer("seen", torch.zeros(()), persistent=False)

        def forward(self, x: torch.Tensor) -> Any:
            if self.training:
                self.seen += 1
            # numpy's global state moves too, as a user's augmentation would make it.
            return self.layers(x + 0.01 * np.random.standard_normal()) * (1 + 0.001 * self.seen)

    return replace(small_task(), new_model=Counting)


def stopped_at(step: int, recipe: Recipe, one: Trial, folder: Path) -> Path:
    """Train with checkpoints on the way, and give the one of a step."""

    def keep(_: int, checkpoint: Checkpoint) -> None:
        save(folder, checkpoint, keep=99)

    LoopEngine(checkpoint=keep, checkpoint_every=step, best=lambda *_: None).run(busy_task(), [one], recipe)
    return folder / f"step-{step:08d}.json"


def same(one: Trace, other: Trace) -> None:
    """Two traces are equal bit for bit, times aside."""
    np.testing.assert_array_equal(one.train_loss, other.train_loss)
    np.testing.assert_array_equal(one.lr, other.lr)
    assert one.recorded.keys() == other.recorded.keys()
    for name, column in one.recorded.items():
        np.testing.assert_array_equal(column, other.recorded[name])
    assert (one.status, one.reason, one.evaluations) == (other.status, other.reason, other.evaluations)


@pytest.mark.parametrize("step", [1, 23, 59])
@pytest.mark.parametrize("name", RECIPES)
def test_resuming_equals_never_having_stopped(tmp_path: Path, name: str, step: int) -> None:
    recipe = RECIPES[name]
    curves = {"momentum": falling(0.95, STEPS)} if name == "momentum" else {}
    one = trial(3, STEPS, recipe.optimizer.lr, **curves)
    models: list[dict[str, Tensor]] = []
    bests: list[Best] = []
    hooks: dict[str, Any] = {
        "checkpoint": lambda _, at_end: models.append(at_end.group("model")),
        "best": lambda _, b: bests.append(b),
    }
    (whole,) = LoopEngine(**hooks).run(busy_task(), [one], recipe)
    checkpoint = load(stopped_at(step, recipe, one, tmp_path))
    torch.manual_seed(12345)
    (resumed,) = LoopEngine(resume={0: checkpoint}, **hooks).run(busy_task(), [one], recipe)
    same(whole, resumed)
    assert resumed.steps == STEPS
    assert models[0].keys() == models[1].keys() and len(models) == 2
    for key, weight in models[0].items():
        assert torch.equal(weight, models[1][key]), key
    assert (bests[0].step, bests[0].value) == (bests[1].step, bests[1].value)
    assert all(torch.equal(weight, bests[1].weights[key]) for key, weight in bests[0].weights.items())


def test_who_was_stopped_before_the_first_update_goes_on(tmp_path: Path) -> None:
    one, recipe = trial(0, 20, 0.1), RECIPES["adam"]
    with closing(Training(busy_task(), one, recipe)) as training:
        save(tmp_path, training.snapshot())
    (whole,) = LoopEngine().run(busy_task(), [one], recipe)
    (again,) = LoopEngine(resume={0: load(tmp_path)}).run(busy_task(), [one], recipe)
    same(whole, again)


def test_a_finished_trial_resumes_to_its_trace(tmp_path: Path) -> None:
    one, recipe = trial(0, 20, 0.1), RECIPES["adam"]
    (whole,) = LoopEngine(checkpoint=lambda _, c: save(tmp_path, c) and None).run(busy_task(), [one], recipe)
    (again,) = LoopEngine(resume={0: load(tmp_path)}).run(busy_task(), [one], recipe)
    same(whole, again)


def test_the_observer_hears_only_what_is_new(tmp_path: Path) -> None:
    one, recipe = trial(0, 40, 0.1), RECIPES["momentum"]
    path = stopped_at(25, recipe, one, tmp_path)
    starts: list[int] = []

    class Watching(Observer):
        def recorded(self, trial: int, trace: Trace, start: int) -> None:
            starts.append(start)

    LoopEngine(resume={0: load(path)}).run(busy_task(), [one], recipe, Watching())
    assert starts[0] == 25


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return stopped_at(10, RECIPES["momentum"], trial(0, 20, 0.1), tmp_path)


def resume(path: Path, task: Task, one: Trial, recipe: Recipe = RECIPES["momentum"]) -> None:
    LoopEngine(resume={0: load(path)}).run(task, [one], recipe)


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (5, 10, 200):
        save(tmp_path, Checkpoint(step, {"model/w": torch.ones(2)}, {}), keep=2)
    names = sorted(path.name for path in tmp_path.iterdir())
    stems = ["step-00000010", "step-00000200"]
    assert names == [f"{stem}.{part}" for stem in stems for part in ("json", "safetensors", "sha256")] + [TRACE]
    newest = latest(tmp_path)
    assert newest is not None and load(tmp_path).step == 200 == load(newest).step


def test_a_folder_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        save(tmp_path / "file" / "checkpoints", Checkpoint(1, {}, {}))


def test_tensors_come_back_as_they_were(tmp_path: Path) -> None:
    tensors = {
        "model/a": torch.randn(3, 2).T,
        "model/b": torch.tensor(7),
        "rng/c": torch.arange(5, dtype=torch.uint8),
        "trace/d": torch.tensor([1e-300, float("nan"), float("inf")], dtype=torch.float64),
        "model/e": torch.randn(4).bfloat16(),
    }
    back = load(save(tmp_path, Checkpoint(3, tensors, {"x": [1, 2.5, None, True, "y"]})))
    assert (back.step, back.details) == (3, {"x": [1, 2.5, None, True, "y"]})
    for name, tensor in tensors.items():
        assert back.tensors[name].dtype == tensor.dtype
        assert torch.equal(back.tensors[name].nan_to_num(9.0), tensor.nan_to_num(9.0))
    assert set(back.group("model")) == {"a", "b", "e"}


def test_a_half_written_checkpoint_is_never_seen(saved: Path) -> None:
    # The tensors of a newer checkpoint are there, but its JSON file was not written yet.
    (saved.parent / "step-00000999.safetensors").write_bytes(b"half")
    newest = latest(saved.parent)
    assert newest is not None and load(saved.parent).step == 20


@pytest.mark.parametrize("size", [0, 100, -1])
def test_damaged_tensors_are_refused(saved: Path, size: int) -> None:
    tensors = saved.with_suffix(".safetensors")
    tensors.write_bytes(tensors.read_bytes()[:size])
    with pytest.raises(UsageError, match=r"step-00000010\.json: the checkpoint is damaged.*earlier checkpoint"):
        load(saved)


def test_missing_files_are_named(saved: Path, tmp_path: Path) -> None:
    saved.with_suffix(".safetensors").unlink()
    with pytest.raises(UsageError, match=r"damaged.*cannot be read"):
        load(saved)
    with pytest.raises(UsageError, match=r"nothing\.json: the checkpoint cannot be read"):
        load(tmp_path / "nothing.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no checkpoint in this folder"):
        load(tmp_path / "empty")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 1}', "\x00\xff"])
def test_a_damaged_document_is_refused(saved: Path, text: str) -> None:
    saved.write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match="damaged"):
        load(saved)


@pytest.mark.parametrize("name", ["step-00000010.json", "step-00000010.safetensors", "step-00000010.sha256", TRACE])
def test_no_flipped_bit_and_no_missing_byte_goes_unnoticed(saved: Path, name: str) -> None:
    file, draw = saved.parent / name, np.random.default_rng(0)
    whole, end = file.read_bytes(), 10 * 5 * 8
    # Of the trace only what the checkpoint holds; what follows is of the next one.
    size = len(whole) if name != TRACE else end
    for position in draw.integers(0, size, 40):
        file.write_bytes(
            whole[:position] + bytes([whole[position] ^ 1 << int(draw.integers(8))]) + whole[position + 1 :]
        )
        with pytest.raises(UsageError, match="damaged"):
            load(saved)
        file.write_bytes(whole[:position])
        with pytest.raises(UsageError, match="damaged"):
            load(saved)
    file.unlink()
    with pytest.raises(UsageError, match="damaged"):
        load(saved)


def test_where_the_newest_is_damaged_the_one_before_is_used(saved: Path) -> None:
    newest = saved.with_name("step-00000020.json")
    newest.write_bytes(newest.read_bytes().replace(b"20", b"21", 1))
    path, found, damaged = newest_usable(saved.parent)
    assert (path, found.step) == (saved, 10) and [error.where for error in damaged] == [str(newest)]
    set_aside(saved.parent, after=10)
    assert latest(saved.parent) == saved and newest.with_name("step-00000020.json.damaged").is_file()
    saved.unlink()
    with pytest.raises(UsageError, match=r"no checkpoint can be used: the checkpoint is damaged: .*cannot be read"):
        newest_usable(saved.parent)


def test_a_checkpoint_appends_to_the_trace_what_is_new(tmp_path: Path) -> None:
    sizes = []
    for step in range(100, 1000, 100):
        save(tmp_path, Checkpoint(step, {}, {}, {"train_loss": np.arange(float(step))}))
        sizes.append((tmp_path / TRACE).stat().st_size)
    grown = np.diff(sizes)
    assert grown[0] >= 800 and set(grown) == {grown[0]}
    np.testing.assert_array_equal(load(tmp_path).trace["train_loss"], np.arange(900.0))
    # What a process that was killed had appended beyond its last checkpoint is cut off.
    with (tmp_path / TRACE).open("ab") as file:
        file.write(b"torn")
    save(tmp_path, Checkpoint(1000, {}, {}, {"train_loss": np.arange(1000.0)}))
    assert (tmp_path / TRACE).stat().st_size == sizes[-1] + grown[0]
    assert len(load(tmp_path).trace["train_loss"]) == 1000


def test_a_newer_checkpoint_is_refused(saved: Path) -> None:
    document = json.loads(saved.read_text())
    saved.write_text(json.dumps({**document, "schema": SCHEMA + 1}))
    saved.with_suffix(".sha256").unlink()
    with pytest.raises(UsageError, match=rf"schema {SCHEMA + 1}.*reads up to {SCHEMA}; update lrtool"):
        load(saved)


def test_another_model_is_refused(saved: Path) -> None:
    one = trial(0, 20, 0.1)
    with pytest.raises(UsageError, match=r"another model: .* only in the (model|checkpoint)"):
        resume(saved, small_task(), one)
    wider = replace(busy_task(), new_model=lambda: nn.Linear(6, 3))
    with pytest.raises(UsageError, match="another model"):
        resume(saved, wider, one)


def test_another_shape_is_refused(tmp_path: Path) -> None:
    one, recipe = trial(0, 20, 0.1), Recipe(KINDS["sgd"](lr=0.1))
    engine = LoopEngine(checkpoint=lambda _, c: save(tmp_path, c) and None)
    engine.run(replace(small_task(), new_model=lambda: nn.Linear(6, 3)), [one], recipe)
    with pytest.raises(UsageError, match=r"weight is \(3, 6\).* there, \(4, 6\)"):
        resume(tmp_path, replace(small_task(), new_model=lambda: nn.Linear(6, 4)), one, recipe)


@pytest.mark.parametrize(
    ("one", "recipe", "message"),
    [
        (trial(1, 20, 0.1), RECIPES["momentum"], "seed 0, but this run has 1"),
        (trial(0, 9, 0.1), RECIPES["momentum"], "after 10 updates of 20, but this run has 9 in all"),
        (trial(0, 20, 0.1), replace(RECIPES["momentum"], accumulate=2), "accumulate 1, but this run has 2"),
        (trial(0, 20, 0.1), replace(RECIPES["momentum"], optimizer=KINDS["adam"](lr=0.1)), "hyperparameters"),
    ],
)
def test_another_run_is_refused(saved: Path, one: Trial, recipe: Recipe, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resume(saved, busy_task(), one, recipe)


def test_another_optimizer_is_refused(tmp_path: Path) -> None:
    path = stopped_at(10, RECIPES["adam"], trial(0, 20, 0.01), tmp_path)
    other = Recipe(KINDS["adamw"](lr=0.01, weight_decay=0.0), eval_every=7)
    with pytest.raises(UsageError, match=r"optimizer \(Adam\).*this run's \(AdamW\)"):
        resume(path, busy_task(), trial(0, 20, 0.01), other)


def test_state_that_is_not_a_tensor_is_refused() -> None:
    class Odd(nn.Linear):
        def get_extra_state(self) -> Any:
            return {"anything": object()}

        def set_extra_state(self, state: Any) -> None: ...

    engine = LoopEngine(checkpoint=lambda *_: None)
    with pytest.raises(TaskError, match=r"not a tensor: _extra_state.*register_buffer"):
        engine.run(replace(small_task(), new_model=lambda: Odd(6, 3)), [trial(0, 5, 0.1)], RECIPES["adam"])


def test_tied_weights_stay_tied(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.out = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
            self.second.weight = self.first.weight

        def forward(self, x: torch.Tensor) -> Any:
            return self.out(self.second(self.first(x)))

    one, task = trial(0, 20, 0.1), replace(small_task(), new_model=Tied)
    engine = LoopEngine(checkpoint=lambda _, c: save(tmp_path, c, keep=9) and None, checkpoint_every=5)
    (whole,) = engine.run(task, [one], RECIPES["momentum"])
    checkpoint = load(tmp_path / "step-00000005.json")
    (resumed,) = LoopEngine(resume={0: checkpoint}).run(task, [one], RECIPES["momentum"])
    same(whole, resumed)
