import pytest

from lrtool.config.problems import ConfigError
from lrtool.config.sweep.combinations import count
from lrtool.config.sweep.load import load_sweep
from lrtool.config.sweep.schema import Range
from lrtool.errors import UsageError

BASE = """\
name: small
model: {kind: mlp, hidden: [16]}
data: {kind: spirals, samples: 240, batch_size: 24}
optimizer: {kind: sgd, lr: 0.3, momentum: 0.9}
schedule: {kind: one_cycle}
train: {duration: 3ep}
"""


@pytest.fixture
def sweep(tmp_path):
    """Loads a sweep whose text is given, beside the base `base.yaml`."""
    (tmp_path / "base.yaml").write_text(BASE)

    def sweep(text, *overrides, **options):
        path = tmp_path / "s.yaml"
        path.write_text(text)
        return load_sweep(path, overrides, **options)

    return sweep


def problems(sweep, text, **options):
    with pytest.raises(ConfigError) as caught:
        sweep(text, **options).trials()
    return [(each.place.rpartition("/")[2], each.key, each.what, each.remedy) for each in caught.value.problems]


def test_a_grid_is_every_combination_with_seeds_innermost(sweep):
    text = "base: base.yaml\ngrid: {schedule: [cosine, constant], optimizer.lr: [0.1, 0.2], seed: 3}\n"
    trials = sweep(text).trials()
    assert [trial.number for trial in trials] == list(range(12)) and count(sweep(text).config) == 12
    assert [trial.config.seed for trial in trials[:4]] == [0, 1, 2, 0]
    assert trials[0].settings == {"schedule": "cosine", "optimizer.lr": 0.1}
    assert trials[0].variant == "schedule=cosine, optimizer.lr=0.1"
    assert [trial.config.optimizer.lr for trial in trials[:6:3]] == [0.1, 0.2]
    assert trials[-1].config.schedule.kind == "constant"
    # What is not varied is the base's.
    assert all(trial.config.optimizer.momentum == 0.9 for trial in trials)


def test_a_section_is_set_before_what_is_in_it(sweep):
    text = "base: base.yaml\ngrid: {schedule.warmup: [0, 10%], schedule: [cosine, {kind: wsd}]}\n"
    schedules = [trial.config.schedule for trial in sweep(text).trials()]
    assert [(each.kind, each.warmup.written()) for each in schedules] == [
        ("cosine", 0), ("wsd", 0), ("cosine", "10%"), ("wsd", "10%"),
    ]  # fmt: skip


def test_variants_keep_their_names_and_settings(sweep):
    variants = "{a: {schedule: cosine}, b: {schedule: cosine, schedule.warmup: 5%}}"
    text = f"base: base.yaml\nvariants: {variants}\nseeds: [4, 7]\n"
    trials = sweep(text).trials()
    assert [(trial.variant, trial.config.seed) for trial in trials] == [("a", 4), ("a", 7), ("b", 4), ("b", 7)]
    assert trials[2].settings == {"variant": "b", "schedule": "cosine", "schedule.warmup": "5%"}


def test_variants_and_a_grid_multiply(sweep):
    text = "base: base.yaml\nvariants: {a: {schedule: cosine}, b: {}}\ngrid: {optimizer.lr: [0.1, 0.2]}\n"
    assert [trial.variant for trial in sweep(text).trials()] == [
        "a, optimizer.lr=0.1", "a, optimizer.lr=0.2", "b, optimizer.lr=0.1", "b, optimizer.lr=0.2",
    ]  # fmt: skip


def test_random_samples_are_the_same_again_and_for_every_variant(sweep):
    text = (
        "base: base.yaml\nvariants: {a: {schedule: cosine}, b: {schedule: constant}}\nsamples: 20\n"
        "random: {optimizer.lr: {log: [1e-3, 1]}, model.hidden: [[8], [16, 16]]}\n"
    )
    trials = sweep(text).trials()
    drawn = [[t.settings["optimizer.lr"] for t in trials if t.settings["variant"] == name] for name in "ab"]
    assert drawn[0] == drawn[1] == [t.settings["optimizer.lr"] for t in sweep(text).trials()[:20]]
    assert all(1e-3 <= lr <= 1 for lr in drawn[0]) and len(set(drawn[0])) == 20
    assert {t.config.model.hidden for t in trials} == {(8,), (16, 16)}
    assert drawn[0] != [t.settings["optimizer.lr"] for t in sweep(text + "sample_seed: 1\n").trials()[:20]]


def test_a_condition_drops_a_key_and_what_is_then_alike(sweep):
    text = (
        "base: base.yaml\ngrid: {schedule: [cosine, constant], schedule.warmup: [0, 5%, 10%]}\n"
        "where: {schedule.warmup: {schedule.kind: [cosine]}}\n"
    )
    settings = [trial.settings for trial in sweep(text).trials()]
    assert len(settings) == 4 and {"schedule": "constant"} in settings


@pytest.mark.parametrize("written", ["asha", "{kind: asha}", "{kind: asha, factor: 3, rungs: 2}"])
def test_pruning_may_be_written_in_short(sweep, written):
    prune = sweep(f"base: base.yaml\nseeds: 2\nprune: {written}\n").config.prune
    assert (prune.kind, prune.factor, prune.rungs) == ("asha", 3, 2)
    assert sweep("base: base.yaml\nseeds: 2\nprune: {rungs: 1}\n").config.prune.kind == "halving"


def test_points_include_the_ends_and_are_whole_numbers_where_asked():
    assert Range(log=(1e-4, 1), points=5).values() == [1e-4, 1e-3, 1e-2, 0.1, 1.0]
    assert Range(linear=(0, 1), points=3).values() == [0, 0.5, 1]
    assert Range(log=(1, 8), points=7, integer=True).values() == [1, 2, 3, 4, 6, 8]
    assert Range(log=(1, 100)).draw(0.5) == 10 and Range(linear=(1, 3), integer=True).draw(0.4) == 2


def test_an_inline_base_may_extend_a_file(sweep):
    text = "name: mine\nbase: {extends: base.yaml, train: {duration: 7}}\ngrid: {optimizer.lr: [0.1]}\n"
    loaded = sweep(text, "optimizer.momentum=0.5", seed=9)
    (trial,) = loaded.trials()
    assert trial.config.train.duration.amount == 7 and trial.config.seed == 9
    assert trial.config.optimizer.momentum == 0.5 and loaded.config.name == "mine"


def test_the_resolved_sweep_gives_the_same_trials(sweep, tmp_path):
    text = (
        "base: base.yaml\nvariants: {a: {schedule: cosine}, b: {data: {use: 'd.py:load', batch_size: 8}}}\n"
        "grid: {optimizer.lr: {log: [1e-3, 1], points: 4}, seed: 2}\ntune: null\n"
    )
    first = sweep(text)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "config.yaml").write_text(first.config.to_yaml())
    again = load_sweep(elsewhere / "config.yaml")
    assert again.config.hash() == first.config.hash() and again.config.name == "s"
    for one, other in zip(again.trials(), first.trials(), strict=True):
        assert (one.number, one.variant, one.settings) == (other.number, other.variant, other.settings)
        assert one.config.to_yaml() == other.config.to_yaml()
    assert first.trials()[-1].config.data.use == f"{tmp_path}/d.py:load"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("base: base.yaml\ngird: {}\n", ("s.yaml:2:1", "gird", "there is no such key", "did you mean 'grid'?")),
        (
            "base: base.yaml\ngrid: {optimizer.lrr: [1]}\n",
            ("s.yaml:2:8", "optimizer.lrr", "there is no such key", "did you mean 'lr'?"),
        ),
        (
            "base: base.yaml\ngrid:\n  schedule: [cosine, cosin]\n",
            ("s.yaml:3:22", "schedule", "there is no schedule 'cosin'", "did you mean 'cosine'?"),
        ),
        (
            "base: base.yaml\nvariants:\n  a:\n    schedule: {kind: cosine, warmpu: 5%}\n",
            ("s.yaml:4:30", "schedule.warmpu", "there is no such key", "did you mean 'warmup'?"),
        ),
        (
            "base: base.yaml\ngrid: {optimizer.lr: {log: [1, 2], pionts: 3}}\n",
            ("s.yaml:2:36", "grid.optimizer.lr.pionts", "there is no such key", "did you mean 'points'?"),
        ),
        ("grid: {optimizer.lr: [1]}\n", ("s.yaml:1:1", "base", "this key is missing", "write base: config.yaml")),
        (
            "base: base.yaml\ngrid: {optimizer.lr: []}\n",
            ("s.yaml:2:8", "grid.optimizer.lr", "the list is empty, so no trial would be left", "write at least one"),
        ),
        (
            "base: base.yaml\ngrid: {name: [a]}\n",
            ("s.yaml:2:15", "name", "this key cannot vary", "write seeds: 5 for seeds, or leave it out"),
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place_and_remedy(sweep, text, expected):
    found = problems(sweep, text)
    assert [each[:3] for each in found] == [expected[:3]]
    assert found[0][3].startswith(expected[3])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("grid: {optimizer.lr: 0.1}", "expected a list or a range, but got 0.1"),
        ("grid: {optimizer.lr: {log: [1, 0.1], points: 2}}", "`low < high` must hold, but got [1, 0.1]"),
        ("grid: {optimizer.lr: {log: [0, 1], points: 2}}", "a log range lies above 0, but got 0"),
        ("grid: {optimizer.lr: {log: [0.1, 1]}}", "has no points"),
        ("grid: {optimizer.lr: {points: 3}}", "a range is either log or linear"),
        ("grid: {optimizer.lr: {log: [0.1, 1], points: 0}}", "points: input should be greater than or equal to 1"),
        ("random: {optimizer.lr: {log: [0.1, 1]}}", "there is no samples"),
        ("samples: 3", "there is no random"),
        ("seeds: 0", "at least one seed is needed, but got 0"),
        ("seeds: [1, 1]", "seeds are different numbers"),
        ("seeds: 2\ngrid: {seed: 3}", "seeds are given twice"),
        ("sampler: tpe\nseeds: 2", "tpe draws the values of random, but there is none"),
        ("grid: {}", "nothing varies, so there is one trial"),
        ("variants: {}\nprune: asha", "nothing varies, so there is one trial"),
        ("prune: hyperband", "there is no prune 'hyperband'; choose one of: asha, halving"),
        ("prune: {kind: ash}", "there is no prune 'ash'; did you mean 'asha'?"),
        ("prune: {kind: asha, facto: 2}", "there is no such key; did you mean 'factor'?"),
        ("prune: {kind: asha, factor: 3, rungs: 0}", "must be at least 1, but got 0"),
        (
            "grid: {schedule: [cosine]}\nwhere: {schedule.warmup: {schedule.kind: [cosine]}}",
            "where has a condition for schedule.warmup, which does not vary",
        ),
        ("tune: lr\nvariants: {a: {optimizer.lr: 0.1}}", "optimizer.lr is to be tuned and varies at once"),
        ("prune: {factor: 1}", "must be at least 2, but got 1"),
        ("prune: {rugs: 1}", "there is no such key"),
        ("tune: momentum", "got 'momentum'"),
        ("tune: lr\ngrid: {optimizer.lr: [0.1]}", "optimizer.lr is to be tuned and varies at once"),
        ("grid: {schedule: [cosine]}\nrandom: {schedule: [cosine]}\nsamples: 1", "schedule varies in two places"),
        ("variants: {a: {schedule: cosine}}\ngrid: {schedule: [wsd]}", "schedule varies in two places"),
    ],
)
def test_a_section_that_cannot_be_is_refused(sweep, text, said):
    found = problems(sweep, f"base: base.yaml\n{text}\n")
    assert len(found) == 1 and said in "; ".join(found[0][2:])


def test_every_problem_is_reported_once(sweep):
    text = "base: base.yaml\ngrid: {optimizer.lr: [0.1, -1], model.hidden: [[8], [0]], seed: 4}\n"
    found = problems(sweep, text)
    assert {(each[0], each[1]) for each in found} == {
        ("s.yaml:2:28", "optimizer.lr"),
        ("s.yaml:2:54", "model.hidden.0"),
    }


def test_a_problem_of_the_base_has_the_place_in_the_base(sweep, tmp_path):
    (tmp_path / "bad.yaml").write_text(BASE.replace("spirals", "sprials"))
    assert problems(sweep, "base: bad.yaml\n")[0][:2] == ("bad.yaml:3:8", "data.kind")


def test_ten_million_trials_are_refused_at_once_with_the_flag(sweep, monkeypatch):
    text = "base: base.yaml\ngrid: {optimizer.lr: {log: [1e-4, 1], points: 1000}, seed: 10000}\n"
    monkeypatch.setattr("lrtool.config.sweep.planner.cells", lambda *_: pytest.fail("it makes them"))
    with pytest.raises(UsageError, match=r"10,000,000 trials, but at most 100,000.*--max-trials 10000000"):
        sweep(text)
    with pytest.raises(UsageError, match="6 trials, but at most 5"):
        sweep("base: base.yaml\nseeds: 6\n", most=5)
