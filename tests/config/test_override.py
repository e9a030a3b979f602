import pytest

from lrtool.config.load import load_config


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("optimizer.lr", "", "write for example --set optimizer.lr=0.05"),
        ("a..b=1", "", "an override is KEY=VALUE"),
        ("=3", "", "an override is KEY=VALUE"),
        ("optimizer.lr=", "optimizer.lr", "but got nothing (null)"),
        ("optimizer.lr=[1", "", "the bracket that opens here is never closed"),
        ("optimizer=adam", "optimizer.lr", "this key is missing"),
        ("optimizer={kind: adam, lr: x}", "optimizer.lr", "got 'x'"),
        ("optimizer.kind=adm", "optimizer.kind", "did you mean 'adam'?"),
        ("optimizer.lr={a: 1, a: 2}", "a", "given twice"),
        ("optimizer.lr=!!python/name:os.system x", "", "tags are not allowed"),
        ("name=&a [*a]", "", "contains itself"),
        ("metrics.0=mae", "metrics", "set it as a whole"),
        ("model.3=4", "model", "no list is written here"),
        ("model.hidden.1=4", "model.hidden", "this is a list of 1"),
        ("model.hidden.x=4", "model.hidden", "this is a list of 1"),
        ("model.hidden.0.x=3", "model.hidden.0", "this is 8, not a mapping"),
        ("train.duration.x=3", "train.duration", "a duration is"),
        ("range_test.end=1e-9", "range_test", "start < end"),
        ("extends=b.yaml", "extends", "write extends: in the config"),
        ("sede=2", "sede", "did you mean 'seed'?"),
        (f"model.hidden.{'9' * 5000}=4", "model.hidden", "this is a list of 1"),
        ("name=!!bool maybe", "", "this is no bool"),
    ],
)
def test_a_mistake_names_the_option_and_the_key(text, key, words, good, write, problems):
    (found,) = problems(write(good), text)
    assert found.startswith(f"--set {text}  {key}")
    assert words in found


def test_lists_are_set_whole_or_item_by_item(good, write):
    path = write(good)
    assert load_config(path, ["model.hidden=[1, 2]", "model.hidden.1=3"]).model.hidden == (1, 3)
    schedule = "schedule=[{kind: linear, duration: 3}, cosine]"
    assert load_config(path, [schedule, "schedule.1.final=5%"]).schedule.segments[1].final.amount == 5


def test_the_last_override_of_a_key_holds(good, write):
    assert load_config(write(good), ["optimizer.lr=2", "optimizer.lr=3"]).optimizer.lr == 3


def test_kinds_and_targets_take_each_others_place(good, write, tmp_path):
    own = load_config(write(good), ["model.use=m.py:N", "model.args.width=3"])
    assert own.model.use == f"{tmp_path / 'm.py'}:N" and own.model.args == {"width": 3}
    path = write(own.to_yaml(), "own.yaml")
    assert load_config(path, ["model.kind=mlp"]).model.kind == "mlp"
    other = load_config(path, ["model.use=n.py:M"])
    assert other.model.use.endswith("n.py:M") and other.model.args == {"width": 3}


def test_what_an_alias_shares_is_overridden_in_one_place(good, write):
    text = good + "schedules: {momentum: &s {kind: linear, final: 50%}, weight_decay: *s}\n"
    text = text.replace("momentum: 0.9", "momentum: 0.9, weight_decay: 0.1")
    schedules = load_config(write(text), ["schedules.momentum.final=10%"]).schedules
    assert schedules["momentum"].final.amount == 10 and schedules["weight_decay"].final.amount == 50
