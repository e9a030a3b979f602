import pytest

from lrtool.config.document import parse_document
from lrtool.config.edit import as_changes, edited, in_short, inline, with_values
from lrtool.config.load import load_config
from lrtool.schedules import KINDS

TEXT = """\
# what this is for
name: small
model: {kind: mlp, hidden: [16]}  # tiny
data: {kind: spirals}
optimizer:
  kind: sgd
  lr: 0.3  # a guess
schedule: {kind: one_cycle}
train: {duration: 3ep}
"""


def test_a_value_is_replaced_and_all_else_stays():
    assert with_values(TEXT, {"optimizer.lr": 1e-5}) == TEXT.replace("lr: 0.3 ", "lr: 1.0e-05 ")
    assert with_values(TEXT, {"schedule": "wsd"}) == TEXT.replace("{kind: one_cycle}", "wsd")
    assert with_values(TEXT, {"model.hidden": [8, 8]}) == TEXT.replace("[16]", "[8, 8]")


def test_a_key_that_is_not_written_is_added():
    assert with_values(TEXT, {"seed": 3}) == TEXT + "seed: 3\n"
    changed = with_values(TEXT, {"data.batch_size": 24, "train.accumulate": 2})
    data = parse_document(changed, "").data
    assert data["data"] == {"kind": "spirals", "batch_size": 24} and data["train"]["accumulate"] == 2


@pytest.mark.parametrize("key", ["optimizer", "optimizer.momentum", "range_test.end"])
def test_what_stands_in_several_lines_is_not_touched(key):
    assert with_values(TEXT, {key: 1}) is None


def written(tmp_path, target, changes, overrides=(), seed=None, text=TEXT):
    """The text for `target`, and the config it is to be."""
    (tmp_path / "c.yaml").write_text(text)
    wanted = load_config(tmp_path / "c.yaml", overrides, seed).with_lr(0.5)
    changes = {**as_changes(overrides, seed), "optimizer.lr": 0.5, **changes}
    target.write_text(edited(tmp_path / "c.yaml", target, wanted, changes))
    assert load_config(target).to_yaml() == wanted.to_yaml()
    return target.read_text()


def test_comments_stay_also_with_overrides(tmp_path):
    text = written(tmp_path, tmp_path / "t.yaml", {}, ["train.duration=5ep", "data.noise=0.1"], 7)
    assert "# a guess" in text and "lr: 0.5" in text and "5ep" in text and "seed: 7" in text


def test_a_config_that_reads_otherwise_from_there_is_written_out(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "m.py").write_text("")
    own = TEXT.replace("{kind: mlp, hidden: [16]}", "{use: 'm.py:net'}")
    assert "# a guess" in written(tmp_path, tmp_path / "t.yaml", {}, text=own)
    text = written(tmp_path, tmp_path / "below" / "t.yaml", {}, text=own)
    assert "# a guess" not in text and f"{tmp_path}/m.py:net" in text


def test_a_config_that_extends_another_is_written_out(tmp_path):
    (tmp_path / "base.yaml").write_text(TEXT)
    text = written(tmp_path, tmp_path / "t.yaml", {}, text="extends: base.yaml\nname: other\n")
    assert "lr: 0.5" in text


def test_a_schedule_is_written_as_people_do():
    assert in_short(KINDS["wsd"].model_validate({})) == "wsd"
    short = in_short(KINDS["cosine"].model_validate({"warmup": "5%"}))
    assert inline(short) == "{kind: cosine, warmup: 5%}"
    for cls in KINDS.kinds.values():
        try:
            usual = cls.model_validate({})
        except ValueError:
            continue  # it needs fields
        assert cls.model_validate({"kind": usual.kind}) == usual and in_short(usual) == usual.kind
