"""Schedules outside a config: every way to write one, every way to get it wrong."""

import pytest

from lrtool.config.specs import as_schedule, parse_items
from lrtool.errors import UsageError
from lrtool.schedules import KINDS


def test_several_items():
    found = parse_items(["cosine", "warmup=5%", "final=1e-3", "linear", "cosine"])
    assert [spec.name for spec in found] == ["cosine warmup=5% final=1e-3", "linear", "cosine"]
    assert found[0].schedule == KINDS["cosine"](warmup="5%", final=0.001)
    assert [type(spec.schedule) for spec in found[1:]] == [KINDS["linear"], KINDS["cosine"]]


def test_the_same_twice_is_told_apart():
    assert [spec.name for spec in parse_items(["cosine", "linear", "cosine"])] == ["cosine (1)", "linear", "cosine (2)"]


def test_values_are_yaml_and_keys_lead_inside():
    schedule = as_schedule("multistep milestones=[10,20] gamma=.5")
    assert schedule == KINDS["multistep"](milestones=[10, 20], gamma=0.5)
    scaled = parse_items(["scaled", "schedule=linear", "schedule.final=50%"])[0].schedule
    assert scaled == KINDS["scaled"](schedule={"kind": "linear", "final": "50%"})
    parts = parse_items(["sequence", "segments=[{kind: linear, duration: 3}, cosine]", "segments.0.duration=4"])
    assert parts[0].schedule.segments[0].duration.written() == 4


CONFIG = (
    "model: mlp\ndata: digits\noptimizer: {kind: adamw, lr: 0.02}\ntrain: {duration: 3ep}\nschedule: {kind: linear}\n"
)


def test_a_config_brings_its_run(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(CONFIG)
    spec = parse_items([str(file), "final=10%"])[0]
    assert spec.name == "mine final=10%"
    assert spec.schedule == KINDS["linear"](final="10%")
    assert (spec.lr, spec.duration.written(), spec.momentum_key) == (0.02, "3ep", "beta1")


def test_a_config_that_inherits(tmp_path):
    (tmp_path / "base.yaml").write_text(CONFIG)
    child = tmp_path / "child.yaml"
    child.write_text("extends: base.yaml\nschedule: {kind: cosine, warmup: 7}\n")
    assert as_schedule(child) == KINDS["cosine"](warmup=7)
    assert parse_items([str(child)])[0].lr == 0.02


def test_other_hyperparameters_of_a_config(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(CONFIG + "schedules: {weight_decay: linear}\n")
    curves = parse_items([str(file)])[0].curves(0.1, 10)
    assert list(curves) == ["lr", "weight_decay"]
    assert curves["weight_decay"](0) == 0.01


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (["cosin"], "no schedule 'cosin'; did you mean 'cosine'"),
        (["zzz"], "choose one of: clipped"),
        (["cosine", "finale=1"], "finale=1 .*no such key.*did you mean 'final'"),
        (["cosine", "final=-1"], "final=-1 .*at least 0.*got -1"),
        (["cosine", "warmup=3.5"], "whole number of updates"),
        (["cosine", "exponent=abc"], "number.*got 'abc'"),
        (["warmup=5%"], "no schedule stands before it; name one first"),
        (["cosine", "=5%"], "has no key; write KEY=VALUE"),
        (["cosine", "final=[1"], "final=\\[1.*bracket .* never closed"),
        (["no/such.yaml"], "no/such.yaml .*no such file"),
        (["sequence", "segments.0.kind=linear"], "nothing is written here yet"),
        (["sequence", "segments=[cosine]", "segments.3=linear"], "list of 1.*number its items from 0"),
        (["sequence", "segments=[cosine, linear]"], "segment 0 .* has none.*try duration"),
        (["scaled", "schedule=lineer"], "no schedule 'lineer'.*did you mean 'linear'"),
        (["table"], "schedule.file.*missing"),
    ],
)
def test_mistakes_on_a_command_line(items, message):
    with pytest.raises(UsageError, match=message):
        parse_items(items)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("kind: cosine\nfinale: 1\n", r"mine.yaml:2:1  schedule.finale  there is no such key.*'final'"),
        ("schedule: {kind: cosin}\n", r"mine.yaml:1:\d+ .*no schedule 'cosin'.*'cosine'"),
        ("schedule: 7\n", r"mine.yaml:1:1 .*got 7"),
        ("- cosine\n", "mapping of keys"),
        ("final: 3\n", "no kind"),
        ("model: mlp\nschedule: cosine\n", "data.*missing"),
    ],
)
def test_mistakes_in_a_file(tmp_path, text, message):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=message):
        as_schedule(file)
