"""A slice of `tests/benchmarks/misspelt_keys.py` and of `tests/benchmarks/config_fuzz.py`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from lrtool.cli.app import run

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "benchmarks"))

from support.fuzzing import fuzzed, shipped  # noqa: E402
from support.misspelling import misspelt, said_of  # noqa: E402


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "configs", tmp_path / "configs"))


@pytest.mark.parametrize("name", ["digits-mlp.yaml", "claims/warmup.yaml", "claims/one-cycle.yaml"])
def test_misspelt_keys_are_refused_in_their_place_with_the_right_word(configs: Path, name: str) -> None:
    path = configs / name
    slips = list(misspelt(path.read_text()))[::3]
    said = [said_of(slip, path) for slip in slips]
    assert len(said) > 10
    assert all(each.refused and each.placed for each in said), [each.message for each in said if not each.placed]
    assert sum(each.suggested for each in said) >= 0.95 * len(said)


def test_odd_files_end_in_words(configs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts, path = shipped(ROOT / "configs"), configs / "odd.yaml"
    for number in range(150):
        path.write_bytes(fuzzed(texts, number))
        assert run(["check", str(path)]) in (0, 2), number
        assert "Traceback" not in capsys.readouterr().err
