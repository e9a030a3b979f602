"""Every example config is valid and goes through every stage."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from lrtool.cli.app import run
from lrtool.config.load import load_config

CONFIGS = sorted((Path(__file__).parents[1] / "configs").rglob("*.yaml"))


def test_there_are_configs():
    assert len(CONFIGS) >= 5


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_is_valid_and_smoke_runs(path, tmp_path, capsys):
    if load_config(path).data.kind == "mnist1d" and find_spec("mnist1d") is None:
        pytest.skip("needs the package mnist1d")
    assert run(["train", str(path), "--smoke", "--quiet", "--output", str(tmp_path)]) == 0, capsys.readouterr().err
