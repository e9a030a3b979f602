"""`lrtool tune` and `lrtool range-test` where something is wrong: one clear outcome each."""

import json

import pytest

OWN_MODEL = "model: {kind: mlp, hidden: [16]}"
LONG = ("duration: 3ep", "duration: 10ep")
MODELS = """\
import torch
from torch import nn


class Infinite(nn.Linear):
    def forward(self, x):
        return super().forward(x) * float("inf")


class Branching(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))

    def forward(self, x):
        return super().forward(x if x.sum() > 0 else x + 0)


class Sick(nn.Sequential):
    # The gradient of one seed's weights is NaN.

    def __init__(self):
        super().__init__(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
        self.register_buffer("sick", (torch.initial_seed() == torch.tensor(1)).float())

    def forward(self, x):
        y = super().forward(x)
        return y + self.sick * torch.sqrt(torch.relu(0 * y.sum()))
"""


@pytest.fixture
def own(config):
    """The small config with a model of one's own."""
    return lambda text, *replace: config([(OWN_MODEL, f"model: {{use: 'm.py:{text}}}"), *replace], m__py=MODELS)


def test_where_every_trial_diverges_the_message_says_what_to_look_at(cli, own):
    code, out, _ = cli("tune", own("Infinite', args: {in_features: 2, out_features: 2}"), "--budget", "9", "-q")
    assert code == 3 and out.startswith("no LR can be named: every trial diverged") and "NaN or infinite" in out
    assert "next:" not in out


def test_a_seed_that_fails_at_every_lr_hides_no_answer(cli, own):
    code, out, _ = cli("tune", own("Sick'", LONG), "--budget", "60", "-q", "--json")
    document = json.loads(out)
    assert code == 0 and document["suggested_lr"] > 0, document["reason"]


def test_a_model_that_cannot_be_stacked_is_tuned_one_trial_at_a_time(cli, own):
    code, out, _ = cli("tune", own("Branching'", LONG), "--budget", "8", "-q", "--json")
    document = json.loads(out)
    assert code == 0 and document["engine"]["name"] == "loop" and "m.py" in document["engine"]["reason"]
    assert (
        document["cost"]["trained_runs"] <= document["cost"]["planned_runs"] <= 8 * 8
        and document["status"] == "finished"
    )


def test_the_budget_that_is_advised_is_enough(cli, config):
    code, _, err = cli("tune", config([LONG]), "--budget", "0.01x", "-q")
    assert code == 2 and "write at least --budget " in err
    advised = err.rpartition("--budget ")[2].strip()
    code, out, err = cli("tune", config([LONG]), "--budget", advised, "-q")
    assert code == 0 and "cost:" in out, err


@pytest.mark.parametrize("budget", ["0", "-1", "lots", "3 runs", "nan", "0." + "0" * 40])
def test_a_budget_is_a_number_of_runs(cli, config, budget):
    code, _, err = cli("tune", config(), f"--budget={budget}", "-q")
    assert code == 2 and "--budget" in err and repr(budget) in err and "1.5x" in err


def test_an_unknown_schedule_is_named_with_the_one_that_was_meant(cli, config):
    code, _, err = cli("tune", config(), "--schedules", "cosine,wsdd", "-q")
    assert code == 2 and "'wsdd'" in err and "'wsd'" in err


def test_without_a_compiler_the_trials_are_trained_all_the_same(cli, config, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CXX", raising=False)
    assert cli("range-test", config([LONG]), "-q")[0] == 0
    assert cli("tune", config([LONG]), "--budget", "30", "-q")[0] == 0


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("steps=1", ["at least 2", "got 1"]),
        ("seeds=0", ["at least 1", "got 0"]),
        ("start=0", ["greater than 0"]),
        ("start=100", ["start < end", "start=100"]),
        ("probe_steps=-1", ["at least 0", "got -1"]),
        ("probe_steps=3", ["3 updates show nothing", "at least 20, or 0"]),
    ],
)
def test_odd_settings_of_a_range_test_are_refused(cli, config, setting, words):
    code, _, err = cli("range-test", config(), "--set", f"range_test.{setting}", "-q")
    assert code == 2 and "range_test" in err
    for word in words:
        assert word in err


@pytest.mark.parametrize("settings", [("steps=2",), ("steps=20", "seeds=1"), ("steps=5", "probe_steps=0")])
def test_small_range_tests_give_an_lr_or_a_reason(cli, config, settings):
    sets = [word for setting in settings for word in ("--set", f"range_test.{setting}")]
    code, out, _ = cli("range-test", config([LONG]), *sets, "-q", "--json")
    document = json.loads(out)
    assert code == 0 and (document["suggested_lr"] is None) == bool(document["reason"])


def test_a_schedule_without_an_answer_is_listed_with_its_reason(cli, config):
    frozen = ("lr: 0.3, momentum: 0.9}", "lr: 0.3, groups: [{match: '*', lr_scale: 0.0}]}")
    code, out, _ = cli("tune", config([frozen]), "--schedules", "constant,cosine", "--budget", "30", "-q")
    listed = out.partition("each schedule at its own best LR:\n")[2].splitlines()[:2]
    assert code == 0 and {line.split()[0] for line in listed} == {"constant", "cosine"}
    assert all(line[23:].startswith("these trials show no difference between LRs") for line in listed)
