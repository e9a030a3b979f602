"""Nodes with other versions, or without what is needed, are refused by name."""

import pytest

from lrtool.errors import UsageError
from lrtool.executors import versions

HERE = {"python": "3.11", "torch": "2.13.0+cpu", "lrtool": "0.1.0"}


def test_the_same_is_fine_also_with_another_build_of_torch():
    versions.check(HERE, "b", {**HERE, "torch": "2.13.0+cu130", "node": "b", "package mine": "there"})
    assert versions.unfit(versions.here(), ["torch"]) == ""


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"torch": "2.12.0"}, r"the node b has torch 2.12.0 \(here: 2.13.0\+cpu\).*pip install torch==2.13.0"),
        ({"torch": None}, "torch not at all"),
        ({"lrtool": None}, r"lrtool not at all \(here: 0.1.0\).*pip install .*lrtool==0.1.0"),
        ({"lrtool": "0.2.0"}, "lrtool 0.2.0"),
        ({"python": "3.12", "torch": "2.12.0"}, r"python 3.12 \(here: 3.11\), torch 2.12.0"),
        ({"package mine": None, "package yours": "there"}, "has no package 'mine', whose code the config runs"),
    ],
)
def test_what_differs_is_named_with_the_node(other, said):
    with pytest.raises(UsageError, match=said):
        versions.check(HERE, "b", {**HERE, **other})


def test_what_is_sent_to_a_node_runs_without_lrtool():
    cloudpickle = pytest.importorskip("cloudpickle", reason="cloudpickle is not installed")
    import subprocess
    import sys

    code = f"import pickle; print(pickle.loads({cloudpickle.dumps(versions.look(['json', 'no_such']))!r})())"
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.modules['lrtool'] = None\n" + code],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "'lrtool': None" in done.stdout and "'package json': 'there', 'package no_such': None" in done.stdout


def test_a_process_says_why_it_is_unfit():
    here = versions.here()
    assert "has torch" in versions.unfit({**here, "torch": "0.0.7"}, [])
    assert "has no package 'no_such'" in versions.unfit(here, ["no_such"])
