"""`lrtool transfer CONFIG`: smaller runs, a law, and the LR of the target; what cannot be transferred along is said."""

import json

import pytest

from lrtool.config.load import load_config
from lrtool.config.started import allowed_again
from lrtool.errors import TaskError, UsageError

CHEAP = [("duration: 3ep", "duration: 80"), ("{kind: one_cycle}", "{kind: cosine}")]


def test_the_lr_of_a_longer_run_from_shorter_ones(cli, config, tmp_path):
    code, out, err = cli("transfer", config(CHEAP), "--to", "train.duration=800", "--budget", "3x", "--json", "-o", "o")
    document = json.loads(out)
    assert code == 0 and document["command"] == "transfer" and document["target"] == {"train.duration": 800.0}, err
    assert document["suggested_lr"] is not None or document["reason"]
    if document["suggested_lr"] is not None:
        assert document["interval"][0] < document["suggested_lr"] < document["interval"][1]
    # Three runs are what `tune` takes: no larger budget is named.
    assert document["enough_budget"] is None and (document["guess"] is None or document["suggested_lr"] is None)
    lengths = {each["train.duration"] for each in document["cells"]}
    assert len(lengths) >= 3 and max(lengths) <= 200
    cost = document["cost"]
    assert cost["target_updates"] == 800 and cost["target_runs"] == pytest.approx(document["steps"] / 800, rel=0.3)
    folder = tmp_path / document["folder"]
    assert {"metrics.csv", "points.csv", "transfer.png", "config.yaml", "summary.json"} <= {
        path.name for path in folder.iterdir()
    }
    # One that is over has nothing to go on with, and says what it found.
    code, out, err = cli("transfer", "--resume", folder, "--executor", "local", "--json")
    assert code == 0 and json.loads(out)["suggested_lr"] == document["suggested_lr"], err
    import lrtool
    from lrtool.api.results.transfer import _again

    found = _again(lrtool.load(folder).folder, document)
    assert found.lr == pytest.approx(document["suggested_lr"]) and list(found.assumed) == document["assumed"]
    again = json.loads(cli("transfer", "--points", folder / "points.csv", "--to", "train.duration=800", "--json")[1])
    # Points alone know neither usual exponents nor how often the data are passed over.
    assert [each["best_lr"] for each in again["cells"]] == pytest.approx(
        [each["best_lr"] for each in document["cells"]], rel=1e-3
    )


def test_several_keys_and_a_second_config(cli, config, tmp_path):
    small = config(CHEAP)
    (tmp_path / "big.yaml").write_text("extends: c.yaml\nname: big\ndata: {batch_size: 64}\noptimizer: {lr: 0.1}\n")
    code, out, err = cli("transfer", small, "--to", "big.yaml", "--budget", "20x", "--json", "-o", "o")
    document = json.loads(out)
    assert code == 0 and document["target"]["data.batch_size"] == 64, err
    assert {each.get("data.batch_size") for each in document["cells"]} >= {4.0, 8.0, 16.0} or document["reason"]


@pytest.mark.parametrize(
    ("to", "words"),
    [
        (["optimizer.lr=1"], ["looked for"]),
        (["data.val_fraction=0.5"], ["data mean"]),
        (["optimizer.momentum=0.99"], ["part between 0 and 1"]),
        (["schedule.kind=cosine"], ["how large"]),
        (["model.kind=cnn"], ["'cnn'", "numbers"]),
        (["model.depth=4"], ["model.depth"]),
        (["data.batch_size=2"], ["three smaller values"]),
        (["data.batch_size=100000"], ["training samples"]),
        (["train.duration=40"], ["holds no runs"]),
        (["nowhere.yaml"], ["nowhere.yaml"]),
        (["same.yaml"], ["same run"]),
        (["other.yaml"], ["optimizer.kind", "no number"]),
        ([], ["no target"]),
    ],
)
def test_what_an_lr_cannot_be_transferred_along(cli, config, tmp_path, to, words):
    path = config(CHEAP)
    (tmp_path / "same.yaml").write_text("extends: c.yaml\n")
    (tmp_path / "other.yaml").write_text("extends: c.yaml\noptimizer: {kind: adam, lr: 0.1}\n")
    code, _, err = cli("transfer", path, *(word for each in to for word in ("--to", each)), "-q")
    assert code == 2 and all(word in err for word in words), err


def test_without_config_and_points_there_is_nothing_to_train(cli):
    code, _, err = cli("transfer", "--to", "train.duration=100")
    assert code == 2 and "--points" in err


def test_a_model_key_that_is_no_size(cli, config):
    model = (
        "from torch import nn\ndef net(width, unused=1):\n"
        "    return nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 2))\n"
    )
    own = ("model: {kind: mlp, hidden: [16]}", "model: {use: 'm.py:net', args: {width: 8, unused: 1}}")
    code, _, err = cli("transfer", config([own, *CHEAP], m__py=model), "--to", "model.args.unused=64", "-q")
    assert code == 2 and "no size" in err


def test_a_tune_below_one_run_trains_shorter_ones(cli, config):
    long = config([("duration: 3ep", "duration: 5000")])
    code, out, err = cli("tune", long, "--budget", "0.3x", "--engine", "loop", "--json", "-o", "o")
    document = json.loads(out)
    assert code == 0 and document["command"] == "tune" and document["target"] == {"train.duration": 5000.0}, err
    assert document["suggested_lr"] is not None or document["reason"]
    assert document["steps"] <= 0.35 * 5000 and document["cost"]["target_runs"] <= 0.35
    import lrtool

    assert lrtool.load(document["folder"]).rows() == document["cells"]


def test_a_transfer_of_ones_own_code_may_be_resumed(cli, config, monkeypatch):
    """What a run folder asks to run is run again only where the user has started it."""

    def stopped(*_):
        raise TaskError("stopped here", where="model", remedy="go on")

    monkeypatch.setattr("lrtool.experiments.transfer.training.run_transfer", stopped)
    model = "from torch import nn\n\ndef net():\n    return nn.Linear(2, 3)\n"
    path = config([*CHEAP, ("{kind: mlp, hidden: [16]}", '{use: "m.py:net"}')], m__py=model)
    with pytest.raises(UsageError, match="was not started here"):
        allowed_again(load_config(path, code_beside=False), ())
    assert cli("transfer", path, "--to", "train.duration=800")[0] == 4
    assert allowed_again(load_config(path, code_beside=False), ())
