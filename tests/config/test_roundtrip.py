"""A resolved config says the same as the one it came from, wherever it is read again."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lrtool import optimizers, schedules
from lrtool.config.document import parse_document, parse_value, write_yaml
from lrtool.config.load import load_config, validate
from lrtool.config.problems import ConfigError
from lrtool.tasks import datasets, losses, metrics, models

FOLDER = Path(__file__).parents[2] / "configs"
#: Those of single runs; sweeps have a form of their own.
CONFIGS = sorted(path for path in FOLDER.rglob("*.yaml") if path.parent != FOLDER / "claims")
FILLED = {"path": "t.csv", "target": "y", "use": "m.py:N", "name": "MNIST", "schedule": "cosine", "lr": 0.1}
SECTIONS = {
    "model": models.KINDS,
    "data": datasets.KINDS,
    "loss": losses.KINDS,
    "optimizer": optimizers.KINDS,
    "schedule": schedules.KINDS,
}
# Text that some YAML reader takes for something else.
TRICKY = [
    *("1e-3", "1E5", "010", "0x1F", "12:30", "2001-01-01", "1_000", ".inf", ".5", "-", "no", "on", "~", "null", "true"),
    *("", " a", "a: b", "# a", "- a", "*a", "&a", "!a", "%", "@", "`", "=", "<<", "é", "日本", "\u2028", "a\nb", "\t"),
]

text = st.sampled_from(TRICKY) | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


def minimal(cls):
    """A mapping with nothing but the fields that a kind asks for."""
    required = [name for name, field in cls.model_fields.items() if field.is_required()]
    return {name: FILLED[name] for name in required if name in FILLED}


def every_kind():
    for section, registry in SECTIONS.items():
        for kind, cls in registry.kinds.items():
            needed = {name for name, field in cls.model_fields.items() if field.is_required()}
            if needed <= FILLED.keys():
                yield pytest.param(section, {"kind": kind, **minimal(cls)}, id=f"{section}-{kind}")


def same_again(config, folder):
    """Write the resolved config into a folder, as a run does, and read it there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    again = load_config(folder / "config.yaml")
    assert again == config.beside(again.folder)
    assert again.to_yaml() == config.to_yaml()
    assert again.hash() == config.hash()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.parent.name + "-" + path.stem)
def test_every_example_config(path, tmp_path):
    same_again(load_config(path), tmp_path / "run")


@pytest.mark.parametrize(("section", "value"), list(every_kind()))
def test_every_kind(section, value, good, write, tmp_path):
    lines = [line for line in good.splitlines() if not line.startswith(section + ":")]
    config = load_config(write("\n".join([*lines, f"{section}: {write_yaml(value, flow=True)}"])))
    assert getattr(config, section).kind == value["kind"]
    same_again(config, tmp_path / "run")


@pytest.mark.parametrize("kind", [kind for kind in metrics.KINDS.kinds if kind != "use"])
def test_every_metric(kind, good, write, tmp_path):
    same_again(load_config(write(good + f"metrics: [{kind}]\n")), tmp_path / "run")


def test_files_and_code_are_found_from_the_run_folder(good, write, tmp_path):
    table = write("step,factor\n0,1\n1,0.5\n", "sub/rates.csv")
    text = good.replace("{kind: mlp, hidden: [8]}", "{use: m.py:N, args: {path: mine, use: 'x.py:Y'}}")
    text = text.replace("{kind: digits, batch_size: 32}", "{kind: csv, path: t.csv, target: y}")
    text = text.replace("{kind: cosine, warmup: 5%}", "{kind: table, file: rates.csv}")
    config = load_config(write(text, "sub/c.yaml"))
    assert config.data.path == str(tmp_path / "sub" / "t.csv")
    assert config.schedule.file == table
    assert config.model.args == {"path": "mine", "use": "x.py:Y"}
    same_again(config, tmp_path / "elsewhere" / "run")


def test_a_project_hashes_the_same_in_any_folder(good, write):
    text = good.replace("{kind: digits, batch_size: 32}", "{kind: csv, path: t.csv, target: y}")
    text = text.replace("{kind: mlp, hidden: [8]}", "{use: m.py:N}")
    here, there = load_config(write(text, "a/c.yaml")), load_config(write(text, "b/d.yaml"))
    assert here.data.path != there.data.path
    assert here.hash() == there.hash()
    assert load_config(write(text.replace("t.csv", "u.csv"), "a/c.yaml")).hash() != here.hash()


@given(plain)
def test_written_data_reads_back_here_and_in_other_readers(data):
    written = write_yaml({"x": data})
    assert parse_value(written, "f.yaml") == {"x": data}
    assert yaml.safe_load(written) == {"x": data}


@settings(deadline=None)
@given(name=text.filter(bool), args=st.dictionaries(text, plain, max_size=3), seed=st.integers(0, 2**63 - 1))
def test_any_names_and_arguments(name, args, seed):
    document = parse_document(
        write_yaml(
            {
                "name": name,
                "seed": seed,
                "model": {"use": "/m.py:N", "args": args},
                "data": {"kind": "digits"},
                "optimizer": {"kind": "sgd", "lr": 0.1},
            }
        ),
        "a.yaml",
    )
    config = validate(document)
    again = validate(parse_document(config.to_yaml(), "b.yaml"))
    assert again.model_dump() == config.model_dump()
    assert again.hash() == config.hash()


@given(st.text(max_size=40))
def test_any_text_is_a_config_or_a_clear_error(text):
    try:
        validate(parse_document(text, "f.yaml"))
    except ConfigError as error:
        assert all(str(problem).startswith("f.yaml") for problem in error.problems)
