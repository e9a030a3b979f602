"""Which files a user's own code consists of, as far as its text says."""

import pytest

from lrtool.config.code_files import changed_code, code_digests
from lrtool.config.load import load_config

CONFIG = """\
name: own
model: {use: "mine.py:net"}
data: {kind: digits, batch_size: 32}
optimizer: {kind: sgd, lr: 0.1}
schedule: constant
"""
CODE = """\
import importlib, json, pathlib
from parts import deep
from parts.inner import *
def net():
    import late
    dynamic, other = importlib.import_module("dynamic"), __import__("other")
    arch = json.loads((pathlib.Path(__file__).parent / "arch.json").read_text())
    open("notes.txt").read()
"""
FILES = {
    "mine.py": CODE, "parts/__init__.py": "from . import sibling\n", "parts/deep.py": "", "parts/inner.py": "",
    "parts/sibling.py": "", "late.py": "", "dynamic.py": "", "other.py": "", "arch.json": "{}",
}  # fmt: skip


@pytest.fixture
def config(tmp_path):
    (tmp_path / "parts").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    for name in ("notes.txt", "unused.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "own.yaml").write_text(CONFIG)
    return load_config(tmp_path / "own.yaml")


def test_what_is_imported_and_read_as_settings_belongs_to_the_code(config, tmp_path):
    assert {path.removeprefix(f"{tmp_path}/") for path in code_digests(config)} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_an_edit_of_any_is_noticed_by_name(config, tmp_path, name):
    before = code_digests(config)
    (tmp_path / name).write_text(FILES[name] + "\n")
    assert changed_code(before, config) == [name.rpartition("/")[2]]


def test_names_that_no_file_can_have_are_none(config, tmp_path):
    before = code_digests(config)
    text = CODE + f"open('a\\0.json'); open('{'x' * 300}.json'); importlib.import_module('{'y' * 300}')\n"
    (tmp_path / "mine.py").write_text(text)
    assert code_digests(config).keys() == before.keys()
