"""Groups with LRs and schedules of their own, alone and stacked, in previews, in what is resumed; LRs of 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from lrtool.config.document import parse_document
from lrtool.config.load import validate
from lrtool.config.problems import ConfigError
from lrtool.config.specs import Spec
from lrtool.engine.loop.checkpoint import Checkpoint
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.trials import Trial
from lrtool.engine.vector.engine import VectorEngine
from lrtool.experiments.setup import Setup, prepare
from lrtool.optimizers import KINDS, ParamGroup
from lrtool.report.schedules.preview import Preview

STEPS = 24
CONFIG: dict[str, Any] = {
    "model": {"kind": "mlp", "hidden": [8]},
    "data": {"kind": "spirals", "samples": 240, "batch_size": 24},
    "schedule": {"kind": "cosine", "warmup": 4},
    "train": {"duration": STEPS, "eval_every": 0},
}
WEIRD = [
    {"match": "*.bias", "lr": 0.5, "schedule": {"kind": "linear", "final": 0.05}},
    {"match": "1.*", "lr_scale": 0.1, "schedule": {"kind": "wsd", "decay": "50%"}},
]


def config(groups: list[dict[str, Any]], **optimizer: Any) -> str:
    return yaml.safe_dump({**CONFIG, "optimizer": {"kind": "sgd", "lr": 0.2, "groups": groups, **optimizer}})


def setup(groups: list[dict[str, Any]], **optimizer: Any) -> Setup:
    return prepare(validate(parse_document(config(groups, **optimizer), "c.yaml")))


def names(made: Setup) -> list[str]:
    return [name for name, _ in made.task.new_model().named_parameters()]


def both(made: Setup, trials: list[Trial]) -> tuple[Any, Any]:
    alone = LoopEngine().run(made.task, trials, made.recipe)
    stacked = VectorEngine(compile=False).run(made.task, trials, made.recipe)
    for one, other in zip(alone, stacked, strict=True):
        np.testing.assert_allclose(one.train_loss, other.train_loss, rtol=1e-4)
    return alone, stacked


def test_a_group_follows_its_own_schedule_in_both_engines_and_the_metrics() -> None:
    made = setup([{"match": "*.bias", "lr": 0.5, "schedule": {"kind": "linear", "final": 0.05}}])
    alone, stacked = both(made, [made.trial(seed, lr) for seed, lr in ((0, 0.2), (1, 0.05))])
    for trace in (*alone, *stacked):
        # An LR of its own is not moved by the run's.
        np.testing.assert_allclose(trace.recorded["lr_group_0"], 0.5 + (0.05 - 0.5) * np.arange(STEPS) / STEPS)


@pytest.mark.parametrize("kind", ["adamw", "muon", "lion", "adafactor", "nadamw", "ademamix"])
def test_groups_and_layers_are_the_same_in_both_engines(kind: str) -> None:
    made = setup(WEIRD, kind=kind, lr=0.01, layer_decay=0.75)
    both(made, [made.trial(seed, 0.01) for seed in (0, 1)])


def test_a_multiple_follows_the_run_in_a_ramp_and_an_lr_of_its_own_stays() -> None:
    made = setup([{"match": "*.bias", "lr": 0.5}, {"match": "*", "lr_scale": 0.1, "schedule": "linear"}])
    from lrtool.schedules import KINDS as SCHEDULES

    ramp = SCHEDULES["linear"]().bind(1.0, STEPS)
    trial = made.following({"lr": ramp}, 0)
    np.testing.assert_allclose(trial.curves["lr_group_1"].table(), 0.1 * ramp.table())
    assert "lr_group_0" not in trial.curves and trial.hyperparameters["lr_group_0"] == 0.5


def test_a_preview_draws_the_groups(tmp_path: Any) -> None:
    (tmp_path / "c.yaml").write_text(config(WEIRD))
    run = Preview.of([str(tmp_path / "c.yaml")], None, None, None)
    assert list(run.runs[0].values) == ["lr", "lr_group_0", "lr_group_1"]
    assert run.csv().splitlines()[0] == "step,lr,lr_group_0,lr_group_1" and "lr_group_1" in run.text(False, 80)


@pytest.mark.parametrize("kind", ["muon", "lion", "adafactor", "nadamw", "ademamix", "adagrad"])
def test_resuming_is_exact(kind: str) -> None:
    made = setup(WEIRD, kind=kind, lr=0.01)
    saved: list[Checkpoint] = []
    engine = LoopEngine(checkpoint=lambda _, c: saved.append(c), checkpoint_every=10)
    (whole,) = engine.run(made.task, [made.trial(0, 0.01)], made.recipe)
    (resumed,) = LoopEngine(resume={0: saved[0]}).run(made.task, [made.trial(0, 0.01)], made.recipe)
    assert resumed.train_loss.tolist() == whole.train_loss.tolist()
    assert resumed.recorded["lr_group_1"].tolist() == whole.recorded["lr_group_1"].tolist()


@pytest.mark.parametrize(
    "group",
    [
        {"lr": 0},
        {"lr_scale": 0},
        {"lr": 0, "schedule": "cosine"},
        {"lr_scale": 0, "schedule": "linear"},
        {"schedule": {"kind": "clipped", "schedule": "constant", "low": 0, "high": 0}},
    ],
)
@pytest.mark.parametrize("kind", ["sgd", "adamw", "muon"])
def test_a_group_whose_lr_is_0_stays(group: dict[str, Any], kind: str) -> None:
    made = setup([{"match": "*.bias", **group}], kind=kind, lr=0.01)
    both(made, [made.trial(0, 0.01)])
    from lrtool.engine.loop.training import Training

    training = Training(made.task, made.trial(0, 0.01), made.recipe)
    before = {name: p.detach().clone() for name, p in training.model.named_parameters()}
    while training.step < STEPS:
        training.advance()
    moved = {name: float((p.detach() - before[name]).abs().max()) for name, p in training.model.named_parameters()}
    assert all((moved[name] < 1e-20) == name.endswith("bias") for name in moved), moved


def test_a_groups_schedule_that_does_not_fit_is_named() -> None:
    with pytest.raises(
        ConfigError, match=r"optimizer\.groups\.0\.schedule\.final.*must not be above the peak of 0\.02"
    ):
        setup([{"match": "*", "lr_scale": 0.1, "schedule": {"kind": "cosine", "final": 0.1}}])
    with pytest.raises(ConfigError, match=r"optimizer\.groups\.0\.schedule\.warmup"):
        setup([{"match": "*", "schedule": {"kind": "cosine", "warmup": 500}}])


def test_an_lr_and_a_multiple_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match=r"lr or lr_scale, but got lr 0\.1 and lr_scale 2; leave one out"):
        ParamGroup(lr=0.1, lr_scale=2)


def test_a_resolved_config_says_the_same() -> None:
    first = validate(parse_document(config(WEIRD, layer_decay=0.75), "c.yaml"))
    again = validate(parse_document(first.to_yaml(), "again.yaml"))
    assert again == first and again.hash() == first.hash()
    assert Spec.of(first).curves(0.2, STEPS)["lr_group_0"](0) == 0.5


def test_muon_refuses_vectors() -> None:
    from lrtool.errors import UsageError

    made = setup([])
    with pytest.raises(UsageError, match=r"muon updates matrices, but .*bias has the shape.*write rule: adamw, or add"):
        KINDS["muon"](lr=0.1, groups=(ParamGroup(rule="muon"),)).build(made.task.new_model())
