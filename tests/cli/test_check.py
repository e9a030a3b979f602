import json
import re

import pytest

OWN_MODEL = ("{kind: mlp, hidden: [16]}", "{use: 'm.py:net'}")


def test_a_good_config_is_summed_up(cli, config):
    code, out, err = cli("check", config())
    assert code == 0 and err == ""
    lines = dict(re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in out.splitlines()[1:])
    assert lines["model"] == "mlp" and lines["duration"] == "3ep" and lines["lr"] == "0.3"


def test_resolve_tries_a_first_update_and_writes_nothing(cli, config, tmp_path):
    before = {config()}
    code, out, _ = cli("check", config(), "--resolve", "--json")
    facts = json.loads(out)
    assert code == 0 and facts["status"] == "ok"
    assert facts["updates"] == 24 and 0.3 < facts["first_loss"] < 1.5  # two classes, untrained: about ln 2
    assert set(tmp_path.iterdir()) == before


def test_the_first_update_is_that_of_the_run(cli, config, tmp_path):
    _, out, _ = cli("check", config(), "--resolve", "--json")
    cli("train", config(), "--output", "out", "--quiet")
    header, first = (tmp_path / "out/small/latest/metrics.csv").read_text().splitlines()[:2]
    trained = dict(zip(header.split(","), first.split(","), strict=True))
    assert float(trained["train_loss"]) == pytest.approx(json.loads(out)["first_loss"], rel=1e-6)


def test_problems_are_json_too(cli, config):
    path = config([("mlp", "mpl"), ("lr: 0.3", "lr: 0")])
    code, out, err = cli("check", path, "--json", "--set", "seed=x")
    document = json.loads(out)
    assert code == 2 and document["status"] == "error"
    assert [each["key"] for each in document["problems"]] == ["seed", "model.kind", "optimizer.lr"]
    assert document["problems"][0]["place"] == "--set seed=x"
    assert document["problems"][1]["place"].endswith("c.yaml:2:9")
    assert document["problems"][1]["remedy"] == "did you mean 'mlp'?"
    assert "3 problems" in err


def test_what_building_shows_is_json_too(cli, config):
    code, out, _ = cli("check", config(), "--resolve", "--json", "--set", "data.batch_size=4000")
    (problem,) = json.loads(out)["problems"]
    assert code == 2 and problem["place"] == "data.batch_size" and "4000" in problem["what"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("class Net(nn.Linear):\n    def forward(self, x):\n        y = super().forward(x).exp()\n"
         "        y.detach().add_(1)\n        return y\ndef net(): return Net(2, 2)\n", "inplace operation"),
        ("class Net(nn.Linear):\n    def forward(self, x):\n        return super().forward(x) * float('nan')\n"
         "def net(): return Net(2, 2)\n", "first update already fails"),
    ],
)  # fmt: skip
def test_resolve_finds_what_only_the_backward_pass_shows(cli, config, code, words):
    got, _, err = cli("check", config([OWN_MODEL], m__py=f"from torch import nn\n{code}"), "--resolve")
    assert got == 4 and words in err


SWEEP = "base: c.yaml\ngrid: {schedule: [cosine, constant], optimizer.lr: [0.1, 0.3], seed: 2}\n"


def test_a_sweep_is_checked_and_counted(cli, config, tmp_path):
    config()
    (tmp_path / "s.yaml").write_text(SWEEP)
    code, out, _ = cli("check", "s.yaml", "--json")
    facts = json.loads(out)
    assert code == 0 and facts["trials"] == 8 and facts["variants"] == 4 and facts["model"] == "mlp"
    code, out, _ = cli("check", "s.yaml", "--resolve")
    assert code == 0 and "first loss" in out


def test_a_sweeps_problems_have_their_place(cli, config, tmp_path):
    config()
    (tmp_path / "s.yaml").write_text(SWEEP.replace("optimizer.lr", "optimizer.rl").replace("grid", "gird"))
    code, _, err = cli("check", "s.yaml")
    assert code == 2 and "s.yaml:2:1  gird" in err and "did you mean 'grid'?" in err
    (tmp_path / "s.yaml").write_text(SWEEP.replace("optimizer.lr", "optimizer.rl"))
    code, _, err = cli("check", "s.yaml")
    assert code == 2 and "optimizer.rl" in err and "s.yaml:2:" in err


def test_a_sweep_that_tunes_is_checked_without_a_count(cli, config, tmp_path):
    config()
    (tmp_path / "s.yaml").write_text("base: c.yaml\nvariants: {a: {schedule: cosine}, b: {schedule: wsd}}\ntune: lr\n")
    code, out, _ = cli("check", "s.yaml")
    assert code == 0 and "--dry-run" in out
