"""Every example config is valid and goes through every stage."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from lrtool.cli.app import run
from lrtool.config.load import load_config

FOLDER = Path(__file__).parents[1] / "configs"
SWEEPS = sorted((FOLDER / "claims").glob("*.yaml"))
CONFIGS = [path for path in sorted(FOLDER.rglob("*.yaml")) if path not in SWEEPS]


def test_there_are_configs():
    assert len(CONFIGS) >= 5


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_is_valid_and_smoke_runs(path, tmp_path, capsys, monkeypatch):
    if path != CONFIGS[0]:
        # They are drawn alike, and that takes longer than all else.
        monkeypatch.setattr("lrtool.report.pictures.picture", lambda *_: None)
    if load_config(path).data.kind == "mnist1d" and find_spec("mnist1d") is None:
        pytest.skip("needs the package mnist1d")
    assert run(["train", str(path), "--smoke", "--quiet", "--output", str(tmp_path)]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_sweep_is_valid_and_can_be_planned(path, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert run(["sweep", str(path), "--dry-run", "--set", "train.duration=30"]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "predicted" in said and "time unknown" not in said
