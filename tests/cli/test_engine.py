import json

import pytest

OWN_MODEL = ("model: {kind: mlp, hidden: [16]}", "model: {use: 'm.py:Net'}")
BRANCHES = """\
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        return self.layer(x) if x.sum() > 0 else self.layer(-x)
"""
SMALL = ("--set", "range_test.probe_steps=0", "--quiet")


def test_check_says_whether_trials_stack(cli, config):
    code, out, _ = cli("check", config(), "--resolve")
    assert code == 0
    assert any(line.split()[:2] == ["stacks", "yes"] for line in out.splitlines())


def test_check_names_the_line_that_stands_in_the_way(cli, config):
    code, out, _ = cli("check", config([OWN_MODEL], m__py=BRANCHES), "--resolve")
    (line,) = [line for line in out.splitlines() if line.split()[:1] == ["stacks"]]
    assert code == 0 and "m.py:10: the model looks at values" in line
    assert "please" not in line and "vmap" not in line


def test_a_model_that_cannot_be_stacked_is_refused_by_vector_and_trained_by_loop(cli, config):
    path = config([OWN_MODEL], m__py=BRANCHES)
    code, _, err = cli("range-test", path, "--engine", "vector", *SMALL)
    assert code == 2 and "m.py:10" in err and "use the loop engine" in err
    code, out, _ = cli("range-test", path, *SMALL)
    assert code == 0 and "engine: loop: these trials cannot be stacked: " in out and "m.py:10" in out


@pytest.mark.parametrize("command", ["range-test", "tune"])
def test_an_unknown_engine_is_a_usage_error(cli, config, command):
    code, _, err = cli(command, config(), "--engine", "gpu")
    assert code == 2 and "--engine" in err and "auto, loop or vector" in err


def test_the_range_test_says_what_its_suggestion_was_read_off(cli, config):
    code, out, _ = cli("range-test", config(), "--quiet", "--set", "train.duration=30ep")
    assert code == 0 and "short trainings (" in out
    longer = ("--set", "range_test.steps=100", "--set", "range_test.seeds=3")
    code, out, _ = cli("range-test", config(), *SMALL, *longer, "--output", "ramp", "--json")
    assert json.loads(out)["suggested_from"] == "the ramp alone"
