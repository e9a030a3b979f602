import pytest

from lrtool.config.load import load_config
from lrtool.config.problems import ConfigError
from lrtool.units import Duration


def test_the_embedded_default_is_a_config():
    config = load_config(None)
    assert config.data.kind == "digits" and config.range_test.seeds >= 3


def test_all_problems_come_at_once_sorted_by_place_each_with_a_remedy(write, good, problems):
    text = good.replace("mlp", "mlpp").replace("batch_size", "batch_sise").replace("0.1", "-1") + "sed: 3\n"
    found = problems(write(text))
    assert [line.split("  ")[0] for line in found] == ["c.yaml:2:9", "c.yaml:3:22", "c.yaml:4:24", "c.yaml:6:1"]
    assert "did you mean 'mlp'?" in found[0]
    assert "did you mean 'batch_size'?" in found[1]
    assert "greater than 0, but got -1" in found[2] and "write for example" in found[2]
    assert "did you mean 'seed'?" in found[3]


@pytest.mark.parametrize(
    ("replace", "by", "key", "words"),
    [
        ("hidden: [8]", "hidden: [a]", "model.hidden.0", "expected an integer, but got 'a'"),
        ("hidden: [8]", "hidden: 8", "model.hidden", "expected a list"),
        ("batch_size: 32", "batch_size: 0", "data.batch_size", "must be at least 1, but got 0"),
        ("batch_size: 32", "batch_size: 1.5", "data.batch_size", "got 1.5"),
        ("lr: 0.1", "lr: 0", "optimizer.lr", "greater than 0, but got 0"),
        ("lr: 0.1", "lr: .nan", "optimizer.lr", "finite"),
        ("lr: 0.1, ", "", "optimizer.lr", "this key is missing"),
        ("momentum: 0.9", "momentum: on", "optimizer.momentum", "got 'on'"),
        ("kind: sgd", "kind: sdg", "optimizer.kind", "did you mean 'sgd'?"),
        ("kind: sgd, ", "", "optimizer", "write kind: and one of: adafactor"),
        ("warmup: 5%", "warmup: 5", "", ""),
        ("warmup: 5%", "warmup: -5", "schedule.warmup", "a duration is"),
        ("warmup: 5%", "warmup: 5m", "schedule.warmup", "got '5m'"),
        ("warmup: 5%", "finla: 0", "schedule.finla", "did you mean 'final'?"),
    ],
)
def test_each_mistake_is_named_with_key_value_and_rule(write, replace, by, key, words, good, problems):
    path = write(good.replace(replace, by))
    if not key:
        load_config(path)
        return
    (found,) = problems(path)
    assert f"  {key}  " in found
    assert words in found


def test_a_warm_up_longer_than_a_run_of_known_length_is_found_without_data(write, good, problems):
    text = good.replace("warmup: 5%", "warmup: 500") + "train: {duration: 100}\n"
    (found,) = problems(write(text))
    assert "c.yaml:5:" in found and "schedule.warmup" in found and "500" in found and "100" in found


def test_a_mistake_in_a_segment_of_a_list_is_placed_in_the_list(write, good, problems):
    text = good.replace("{kind: cosine, warmup: 5%}", "[{kind: linear, duration: 80, warmup: 90}, cosine]")
    (found,) = problems(write(text + "train: {duration: 100}\n"))
    assert found.startswith("c.yaml:5:41  schedule.0.warmup  must fit into the 80 updates")


def test_a_hyperparameter_that_cannot_be_scheduled_is_refused(write, good, problems):
    (found,) = problems(write(good + "schedules: {beta1: linear}\n"))
    assert "sgd has no hyperparameter 'beta1'" in found
    (found,) = problems(write(good + "schedules: {weight_decay: linear}\n"))
    assert "which is 0" in found


def test_momentum_driven_twice_is_refused(write, good, problems):
    text = good.replace("kind: cosine, warmup: 5%", "kind: one_cycle") + "schedules: {momentum: linear}\n"
    (found,) = problems(write(text))
    assert "schedules.momentum" in found and "remove one" in found


def test_a_range_test_must_rise_and_a_run_must_have_a_length(write, good, problems):
    text = good + "range_test: {start: 1, end: 1e-3}\ntrain: {duration: 10%}\n"
    found = problems(write(text))
    assert "start < end" in found[0]
    assert "cannot be a part of it" in found[1]


def test_overrides_reach_any_key_and_are_named_in_messages(write, good, problems):
    path = write(good)
    config = load_config(path, ["optimizer.lr=5e-2", "model.hidden.0=64", "train.duration=3ep", "schedule=constant"])
    assert config.optimizer.lr == 0.05
    assert config.model.hidden == (64,)
    assert config.train.duration == Duration(3, "epochs")
    assert config.schedule.kind == "constant"
    assert problems(path, "optimizer.lr=-1")[0].startswith("--set optimizer.lr=-1  optimizer.lr")
    assert "KEY=VALUE" in problems(path, "optimizer.lr")[0]
    assert "did you mean 'optimizer'?" in problems(path, "optimiser.lr=1")[0]
    assert "number its items from 0" in problems(path, "model.hidden.7=1")[0]
    assert load_config(path, seed=9).seed == 9


def test_a_kind_that_is_overridden_keeps_what_the_kinds_share(write, good):
    config = load_config(write(good), ["optimizer.kind=adamw", "data.kind=spirals"])
    assert config.optimizer.kind == "adamw" and config.optimizer.lr == 0.1
    assert config.data.kind == "spirals" and config.data.batch_size == 32


def test_bases_are_inherited_and_another_kind_replaces_the_section(write, good):
    write(good, "base/base.yaml")
    path = write("extends: base/base.yaml\nmodel: {hidden: [4, 4]}\noptimizer: {kind: adam, lr: 0.01}\n")
    config = load_config(path)
    assert config.model.hidden == (4, 4) and config.name == "small"
    assert config.optimizer.kind == "adam" and config.optimizer.lr == 0.01


def test_a_mistake_in_a_base_is_placed_in_the_base(write, good, problems):
    write(good.replace("0.1", "oops"), "sub/base.yaml")
    path = write("extends: sub/base.yaml\nname: child\n")
    assert problems(path)[0].startswith("sub/base.yaml:4:24  optimizer.lr")


def test_what_replaces_a_base_is_the_place_of_what_it_lacks(write, good, problems):
    write(good, "base.yaml")
    (found,) = problems(write("extends: base.yaml\noptimizer: {kind: adam}\n"))
    assert found.startswith("c.yaml:2:1  optimizer.lr  this key is missing")


def test_a_short_form_in_a_base_takes_fields_from_above(write, good):
    write(good.replace("{kind: mlp, hidden: [8]}", "mlp"), "base.yaml")
    assert load_config(write("extends: base.yaml\nmodel: {hidden: [3]}\n")).model.hidden == (3,)


def test_a_base_that_is_missing_comes_with_the_nearest_name(write, good, problems):
    write(good, "bases/base.yaml")
    (found,) = problems(write("extends: bases/base.yml\n"))
    assert "there is no file" in found and "did you mean 'base.yaml'?" in found


def test_bases_that_are_missing_or_go_in_circles_are_errors(write, problems):
    (found,) = problems(write("extends: none.yaml\n"))
    assert found.startswith("c.yaml:1:1  extends") and "there is no file" in found
    write("extends: c.yaml\n", "b.yaml")
    with pytest.raises(ConfigError, match="circle"):
        load_config(write("extends: b.yaml\n"))


def test_the_resolved_config_gives_the_same_config_elsewhere(write, tmp_path, good):
    text = good.replace("{kind: digits, batch_size: 32}", "{kind: csv, path: t.csv, target: y}")
    text = text.replace("{kind: mlp, hidden: [8]}", "{use: 'm.py:Net', args: {path: keep}}")
    config = load_config(write(text))
    again = load_config(write(config.to_yaml(), "run/config.yaml"))
    assert again.to_yaml() == config.to_yaml()
    assert again.hash() == config.hash()
    assert again.data.path == str(tmp_path / "t.csv")
    assert again.model.use == f"{tmp_path / 'm.py'}:Net" and again.model.args == {"path": "keep"}


def test_the_hash_sees_what_is_computed_and_nothing_else(write, good):
    one = load_config(write(good))
    lines = good.splitlines()
    shuffled = write("\n".join(reversed(lines)) + "\n# a comment\n", "d.yaml")
    assert load_config(shuffled).hash() == one.hash()
    assert load_config(shuffled, ["name=other", "device=cpu"]).hash() == one.hash()
    assert load_config(shuffled, ["seed=1"]).hash() != one.hash()
