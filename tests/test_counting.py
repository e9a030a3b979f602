"""Durations in samples and tokens wherever a duration is taken: what an update takes is read off config and data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lrtool.config.document import parse_document
from lrtool.config.load import validate
from lrtool.config.problems import ConfigError
from lrtool.errors import UsageError
from lrtool.experiments.setup import Setup, prepare
from lrtool.report.schedules.preview import Preview
from lrtool.units import Duration

TEXT = {"kind": "text", "context": 16, "batch_size": 32}
WORDS = """
import torch

def load(length):
    data = torch.arange(80 * length).reshape(80, length) % 5
    return data, data % 3

def net():
    return torch.nn.Sequential(torch.nn.Embedding(5, 4), torch.nn.Linear(4, 3))
"""


def config(**changes: Any) -> str:
    base = {
        "model": {"kind": "transformer", "width": 8, "depth": 1, "heads": 1},
        "data": TEXT,
        "optimizer": {"kind": "sgd", "lr": 0.1},
        "schedule": {"kind": "cosine", "warmup": "6.4k samples"},
        "train": {"duration": "64k samples", "eval_every": "16k tokens", "checkpoint_every": "32k samples"},
        "range_test": {"val_every": "3.2k samples"},
    }
    for key, value in changes.items():
        base[key] = {**base[key], **value} if isinstance(value, dict) and "kind" not in value else value
    return yaml.safe_dump(base)


def setup(**changes: Any) -> Setup:
    return prepare(validate(parse_document(config(**changes), "c.yaml")))


def test_every_duration_counts_samples_and_tokens() -> None:
    made = setup(train={"accumulate": 2})
    assert made.steps == 1000  # 64,000 / (32 · 2)
    train = made.config.train
    assert made.updates(train.eval_every, "train.eval_every") == 16  # 16,000 / (64 · 16) = 15.6
    assert isinstance(train.checkpoint_every, Duration)
    assert made.updates(train.checkpoint_every, "train.checkpoint_every") == 500
    assert made.updates(made.config.range_test.val_every, "range_test.val_every") == 50
    assert made.curves(0.1, 1000)["lr"](99) == 0.1 > made.curves(0.1, 1000)["lr"](98)


def test_durations_deep_in_schedules_and_groups_count_too() -> None:
    schedule = [
        {"kind": "linear", "duration": "32k samples", "final": "10%"},
        {"kind": "repeated", "every": "320 samples"},
    ]
    group = {"match": "*.bias", "schedule": {"kind": "multistep", "milestones": ["10k tokens", "3.2k samples"]}}
    made = setup(schedule=schedule, optimizer={"groups": [group]})
    curves = made.curves(0.1, made.steps)
    assert curves["lr"](1000) == pytest.approx(0.1) and curves["lr"](999) < 0.011  # 32,000 / 32
    milestones = [t for t in range(1, 300) if curves["lr_group_0"](t) != curves["lr_group_0"](t - 1)]
    assert milestones == [20, 100]  # 10,000 / (32 · 16) = 19.5, halves up


def test_what_was_written_stays() -> None:
    made = setup()
    plain = validate(parse_document(config(), "c.yaml"))
    assert made.config.to_yaml() == plain.to_yaml() and made.config.hash() == plain.hash()
    assert "64k samples" in made.config.to_yaml()
    assert made.config.train.model_fields_set == plain.train.model_fields_set


def test_a_preview_needs_no_data(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(config())
    (run,) = Preview.of([str(tmp_path / "c.yaml")], None, None, None).runs
    assert run.steps == 2000 and run.values["lr"].argmax() == 199
    with pytest.raises(UsageError, match=r"'1M samples' counts samples, but .* unknown here; give a number of updates"):
        Preview.of(["cosine", "warmup=1M samples"], None, "2000", None)
    with pytest.raises(UsageError, match="'1M tokens' counts tokens, but how many tokens"):
        Preview.of(["cosine"], None, "1M tokens", None)


@pytest.mark.parametrize("length", [8, 5])
def test_tokens_of_ones_own_sequences_are_counted(length: int, tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text(WORDS)
    text = yaml.safe_dump({
        "model": {"use": "words.py:net"},
        "data": {"use": "words.py:load", "args": {"length": length}, "batch_size": 10},
        "loss": "cross_entropy",
        "optimizer": {"kind": "sgd", "lr": 0.1},
        "train": {"duration": "8k tokens"},
    })  # fmt: skip
    made = prepare(validate(parse_document(text, "c.yaml")).beside(tmp_path))
    assert made.steps == 8000 // (10 * length)


def test_tokens_without_sequences_say_what_to_write() -> None:
    made = setup(data={"kind": "digits"}, model={"kind": "mlp"}, train={"duration": "1M tokens"}, schedule="cosine")
    with pytest.raises(UsageError, match=r"train\.duration.*'1M tokens' counts.*no sequences.*updates or epochs"):
        made.steps  # noqa: B018 - looked at for its error


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schedule": {"kind": "cosine", "warmup": "100k samples"}}, "'100k samples' (3125 updates)"),
        ({"train": {"duration": "0 samples"}}, "a run has at least 1 update"),
        ({"schedule": {"kind": "cosine", "warmup": "5 sample s"}}, "'300k samples' or '10B tokens'"),
    ],
)
def test_what_does_not_fit_is_said_before_data_are_read(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        validate(parse_document(config(**changes), "c.yaml"))
