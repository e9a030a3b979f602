"""Mistakes that no trial of the plan shows: in values that are drawn later, and in conditions."""

import pytest

from lrtool.config.problems import ConfigError
from lrtool.config.sweep.load import load_sweep

BASE = """\
model: {kind: mlp, hidden: [16]}
data: {kind: spirals, samples: 240, batch_size: 24}
optimizer: {kind: sgd, lr: 0.3, momentum: 0.9}
schedule: {kind: one_cycle}
train: {duration: 100}
"""


@pytest.fixture
def found(tmp_path):
    """What is wrong with a sweep of the base: place, key, what, remedy."""
    (tmp_path / "base.yaml").write_text(BASE)

    def found(text):
        path = tmp_path / "s.yaml"
        path.write_text(f"base: base.yaml\n{text}\n")
        try:
            load_sweep(path).trials()
        except ConfigError as error:
            return [(each.place.rpartition("/")[2], each.key, each.what, each.remedy) for each in error.problems]
        return []

    return found


@pytest.mark.parametrize("sampler", ["random", "tpe"])
@pytest.mark.parametrize(
    ("values", "at", "key", "said"),
    [
        ("schedule: [cosine, constant, wsd, linear, {kind: one_cycle, fnal: 1}]", "fnal", "schedule.fnal", "such key"),
        ("schedule: [cosine, constant, wsd, linear, cosin]", "cosin]", "schedule", "no schedule 'cosin'"),
        ("optimizer.lr: {linear: [-1e-9, 1]}", "optimizer.lr", "optimizer.lr", "must be greater than 0"),
        ("data.batch_size: {linear: [2, 64]}", "data.batch", "data.batch_size", "expected an integer"),
        ("schedule.warmpu: [1, 2]", "schedule", "schedule.warmpu", "there is no such key"),
    ],
)  # fmt: skip
def test_every_value_that_may_be_drawn_is_checked(found, sampler, values, at, key, said):
    line = f"random: {{{values}}}"
    (only,) = found(f"sampler: {sampler}\n{line}\nsamples: 1")
    assert only[:2] == (f"s.yaml:3:{line.index(at) + 1}", key) and said in only[2]


def test_what_fits_in_some_combination_is_no_mistake(found):
    # Of what is drawn together some does not fit, but no value by itself is wrong.
    warmed = "samples: 1\nrandom: {schedule.warmup: [0, 90], train.duration: [100, 400]}\nsample_seed: "
    assert [] in [found(f"{warmed}{seed}") for seed in range(8)]
    assert found("samples: 3\nrandom: {schedule: [cosine, constant, wsd], schedule.final: [0, 1e-3]}") == []


WARMED = "grid: {schedule: [cosine, constant], schedule.warmup: [0, 2]}\nwhere: {schedule.warmup: "


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("{schedule.knid: [cosine]}", ("schedule.knid", "did you mean 'kind'?")),
        ("{shedule.kind: [cosine]}", ("shedule.kind", "did you mean 'schedule'?")),
        ("{schedule.kind: [cosin]}", ("schedule.kind", "did you mean 'cosine'?")),
        ("{optimizer.moment: [0.9]}", ("optimizer.moment", "did you mean 'momentum'?")),
    ],
)
def test_a_condition_that_cannot_hold_is_named(found, condition, expected):
    ((place, key, _, remedy),) = found(f"{WARMED}{condition}}}")
    assert (place.rpartition(":")[0], key, remedy) == ("s.yaml:3", f"where.schedule.warmup.{expected[0]}", expected[1])


@pytest.mark.parametrize(
    "condition",
    ["schedule.kind: [cosine]", "optimizer.momentum: [0.9]", "model.hidden: [[16]]", "optimizer.nesterov: [true]"],
)
def test_conditions_on_what_there_is_are_taken(found, condition):
    assert found(f"{WARMED}{{{condition}}}}}") == []


def test_more_keys_than_anybody_varies_are_refused_at_once(found):
    keys = ", ".join(f"optimizer.k{number}: [1]" for number in range(1_001))
    assert [each[:3] for each in found(f"grid: {{{keys}}}")] == [("s.yaml:2:1", "grid", "this names over 1,000 keys")]


@pytest.mark.parametrize("text", ["seeds: true", "seeds: [3, false]", "tune: {budget: true}\nseeds: 2", "batch: true"])
def test_true_is_no_number(found, text):
    assert [each[2] for each in found(f"grid: {{schedule: [cosine]}}\n{text}")] == [
        "expected a number, but got true or false"
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("grid: {schedule: [cosine]}\nwhere: {schedule.warmup: {schedule.kind: [cosine]}}", "s.yaml:3:9"),
        ("seeds: 2\ntune: lr\ngrid: {optimizer.lr: [0.1]}", "s.yaml:3:1"),
        ("seeds: 2\ngrid: {optimizer.lr: {log: [0.1, 1]}}", "s.yaml:3:8"),
        ("seeds: 2\nsamples: 3", "s.yaml:3:1"),
        ("seeds: 2\nsampler: tpe", "s.yaml:3:1"),
        ("grid: {schedule: [cosine]}\nrandom: {schedule: [cosine]}\nsamples: 1", "s.yaml:3:10"),
    ],
)
def test_what_does_not_go_together_has_its_place(found, text, place):
    assert [each[0] for each in found(text)] == [place]
