import textwrap

import pytest

from lrtool.config.document import parse_document
from lrtool.config.load import load_config
from lrtool.config.writing.edit import as_changes, edited, in_short, inline, with_values
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


def test_what_stands_in_several_lines_is_replaced_too_and_its_comments_stay():
    block = """\
    optimizer:  # which
      kind: sgd  # plain
      # found by hand
      lr: 0.3  # a guess
    train:
      duration: 3ep
    """
    text = textwrap.dedent(block)
    assert with_values(text, {"optimizer": "adam"}) == (
        "optimizer: adam  # which\n  # plain\n  # found by hand  # a guess\ntrain:\n  duration: 3ep\n"
    )
    assert with_values(text, {"train.accumulate": 2}) == text.replace("  duration", "  accumulate: 2\n  duration")
    assert with_values(text, {"range_test.end": 1}) == text + "range_test: {end: 1}\n"
    assert with_values("metrics:\n- {use: 'm.py:a'}  # mine\n", {"metrics.0.use": "b.py:a"}) == (
        "metrics:\n- {use: b.py:a}  # mine\n"
    )
    assert with_values("optimizer: sgd\n", {"optimizer.lr": 1}) is None


def written(tmp_path, target, changes, overrides=(), seed=None, text=TEXT):
    """The text for `target`, and the config it is to be."""
    (tmp_path / "c.yaml").write_text(text)
    wanted = load_config(tmp_path / "c.yaml", overrides, seed).with_lr(0.5)
    changes = {**as_changes(overrides, seed), "optimizer.lr": 0.5, **changes}
    target.write_text(edited(tmp_path / "c.yaml", target, wanted, changes))
    assert load_config(target).to_yaml().replace("/below/../", "/") == wanted.to_yaml()
    return target.read_text()


def test_comments_stay_also_with_overrides(tmp_path):
    text = written(tmp_path, tmp_path / "t.yaml", {}, ["train.duration=5ep", "data.noise=0.1"], 7)
    assert "# a guess" in text and "lr: 0.5" in text and "5ep" in text and "seed: 7" in text


def test_relative_paths_lead_to_the_same_files_from_elsewhere(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "m.py").write_text("")
    own = TEXT.replace("{kind: mlp, hidden: [16]}", "{use: 'm.py:net'}")
    assert "# a guess" in written(tmp_path, tmp_path / "t.yaml", {}, text=own)
    text = written(tmp_path, tmp_path / "below" / "t.yaml", {}, text=own)
    assert "# a guess" in text and "{use: ../m.py:net}" in text and str(tmp_path) not in text


@pytest.mark.parametrize(
    "schedule",
    [
        "schedule: {kind: one_cycle}",
        "schedule: one_cycle  # usual",
        "schedule:\n  kind: one_cycle  # usual\n  # and long\n  warmup: 20%\n",
        "",
        "schedule:\n- {kind: constant, duration: 50%}  # first\n- linear\n",
    ],
)
@pytest.mark.parametrize("found", [{}, {"warmup": "5%"}])
def test_a_schedule_that_was_found_takes_the_place_of_any(tmp_path, schedule, found):
    text = TEXT.replace("schedule: {kind: one_cycle}", schedule) + "# the end\n"
    (tmp_path / "c.yaml").write_text(text)
    best = KINDS["cosine"].model_validate(found)
    wanted = load_config(tmp_path / "c.yaml").with_lr(0.5).model_copy(update={"schedule": best})
    changes = {"optimizer.lr": 0.5, "schedule": in_short(best)}
    made = edited(tmp_path / "c.yaml", tmp_path / "t.yaml", wanted, changes)
    comments = ("# what this is for", "# tiny", "# a guess", "# the end")
    assert all(comment in made for comment in comments)
    assert all(comment in made for comment in ("# usual", "# and long", "# first") if comment in text)
    assert "exponent" not in made and "momentum" not in made
    (tmp_path / "t.yaml").write_text(made)
    assert load_config(tmp_path / "t.yaml").schedule == best


def test_a_schedule_that_a_base_adds_to_is_written_whole(tmp_path):
    (tmp_path / "base.yaml").write_text(TEXT.replace("{kind: one_cycle}", "{kind: cosine, warmup: 5%}"))
    (tmp_path / "c.yaml").write_text("extends: base.yaml  # mine\nname: other\n")
    best = KINDS["cosine"].model_validate({"final": 0.1})
    wanted = load_config(tmp_path / "c.yaml").with_lr(0.5).model_copy(update={"schedule": best})
    changes = {"optimizer.lr": 0.5, "schedule": in_short(best)}
    made = edited(tmp_path / "c.yaml", tmp_path / "t.yaml", wanted, changes)
    (tmp_path / "t.yaml").write_text(made)
    assert "extends: base.yaml  # mine" in made and load_config(tmp_path / "t.yaml").schedule == best


def test_what_cannot_be_edited_is_written_in_short(tmp_path):
    (tmp_path / "m.py").write_text("")
    shared = TEXT.replace("{kind: mlp, hidden: [16]}", "{use: 'm.py:net'}")
    # Two keys that are one to YAML: what is changed at one changes at the other.
    aliased = shared.replace("name: small", "name: &same small").replace("{kind: one_cycle}", "{kind: *same}")
    aliased = aliased.replace("small", "one_cycle")
    text = written(tmp_path, tmp_path / "t.yaml", {"schedule.kind": "one_cycle", "name": "one_cycle"}, text=aliased)
    assert "use: 'm.py:net'" in text and len(text.splitlines()) < 25


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
