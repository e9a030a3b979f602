"""What a user may get wrong: one clear message, the documented exit code, and nothing measured is lost."""

import errno
import json
from pathlib import Path

import pytest

DATA = (
    "data: {kind: spirals, samples: 240, batch_size: 24}",
    "data: {kind: csv, path: t.csv, target: y, batch_size: 4}",
)
TABLE = "a,b,y\n" + "".join(f"{i},{i * i},{i % 2}\n" for i in range(40))
OWN_MODEL = ("{kind: mlp, hidden: [16]}", "{use: 'm.py:net'}")
OWN_DATA = ("{kind: spirals, samples: 240, batch_size: 24}", "{use: 'd.py:load', batch_size: 4}")


def case(replace=(), files=None, code=2, words=(), overrides=()):
    return replace, files or {}, code, words, overrides


CASES = {
    "unknown key": case(overrides=["train.epochs=3"], words=["train.epochs", "no such key"]),
    "wrong type": case(overrides=["data.batch_size=many"], words=["data.batch_size", "integer", "'many'"]),
    "an LR of 0": case(overrides=["optimizer.lr=0"], words=["optimizer.lr", "greater than 0", "got 0"]),
    "an LR below 0": case(overrides=["optimizer.lr=-0.1"], words=["optimizer.lr", "got -0.1"]),
    "more warm-up than steps": case(
        overrides=["schedule=cosine", "schedule.warmup=500", "train.duration=100"], words=["warm", "500", "100"]
    ),
    "more warm-up than epochs": case(
        overrides=["schedule=cosine", "schedule.warmup=9ep"], words=["schedule.warmup", "9ep", "'3ep'"]
    ),
    "warm-up beyond any number": case(
        overrides=["schedule=cosine", "schedule.warmup=1e400%"], words=["schedule.warmup", "'1e400%'", "'10%'"]
    ),
    "a run beyond any number": case(overrides=["train.duration=1e300ep"], words=["train.duration", "'1e300ep'"]),
    "a word among numbers": case([DATA], {"t__csv": TABLE.replace("3,9,1", "3,oops,1")}, 4, ["t.csv:5", "b"]),
    "infinity in the data": case([DATA], {"t__csv": TABLE.replace("3,9,1", "3,inf,1")}, 4, ["t.csv:5", "b"]),
    "empty dataset": case([DATA], {"t__csv": "a,b,y\n"}, 4, ["t.csv", "only a header", "at least one row"]),
    "missing data file": case([DATA], {}, 2, ["t.csv", "no file"]),
    "no such target column": case([DATA], {"t__csv": TABLE.replace(",y", ",yy")}, 2, ["'y'", "'yy'"]),
    "batch larger than the data": case(overrides=["data.batch_size=4000"], words=["4000", "192", "at most"]),
    "a model whose output does not fit": case(
        [OWN_MODEL],
        {"m__py": "from torch import nn\ndef net(): return nn.Linear(2, 1)\n"},
        4,
        ["1 outputs", "targets", "give the model 2 outputs"],
        ["loss=cross_entropy"],
    ),
    "a model that does not fit the input": case(
        [OWN_MODEL], {"m__py": "from torch import nn\ndef net(): return nn.Linear(7, 2)\n"}, 4, ["forward", "2"]
    ),
    "a model target that raises": case(
        [OWN_MODEL], {"m__py": "def net():\n    raise RuntimeError('out of ideas')\n"}, 4, ["m.py:2", "out of ideas"]
    ),
    "a model file that does not import": case(
        [OWN_MODEL], {"m__py": "import nothing_here\n"}, 4, ["nothing_here", "m.py:1"]
    ),
    "a missing model file": case([OWN_MODEL], {}, 2, ["m.py"]),
    "a name that is not in the file": case([OWN_MODEL], {"m__py": "def nett(): pass\n"}, 2, ["'net'", "'nett'"]),
    "a data target that raises": case(
        [OWN_DATA], {"d__py": "def load():\n    return 1 / 0\n"}, 4, ["d.py:2", "ZeroDivisionError"]
    ),
    "code of a package that is not allowed": case(
        [("{kind: mlp, hidden: [16]}", "{use: 'torchvision.models:resnet18'}")], {}, 2, ["--allow-import torchvision"]
    ),
    "code outside the config's folder": case(
        [("{kind: mlp, hidden: [16]}", "{use: '../m.py:net'}")], {}, 2, ["--allow-import"]
    ),
    "a device that is not there": case(overrides=["device=cuda:7"], words=["cuda:7", "cpu"]),
}


@pytest.mark.parametrize("command", ["train", "range-test"])
@pytest.mark.parametrize("name", CASES)
def test_bad_input_gives_one_clear_message(cli, config, name, command):
    replace, files, code, words, overrides = CASES[name]
    sets = [part for override in overrides for part in ("--set", override)]
    got, out, err = cli(command, config(replace, **files), *sets, "--output", "out")
    assert got == code, err
    assert out == ""
    assert err.startswith("error: ")
    for word in words:
        assert word in err
    assert len(err.splitlines()) <= 4


def test_a_missing_config_file(cli):
    code, _, err = cli("train", "none.yaml")
    assert code == 2 and "no such file" in err and "lrtool init" in err


def test_a_missing_config_argument(cli):
    code, _, err = cli("train")
    assert code == 2 and "lrtool train CONFIG" in err


def test_a_read_only_output_folder(cli, config, monkeypatch):
    # Root may write anywhere, so the system's answer is given by hand.
    def refused(path, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    path = config()
    monkeypatch.setattr(Path, "mkdir", refused)
    code, _, err = cli("train", path, "--output", "out")
    assert code == 5 and "Permission denied" in err and "--output" in err


def test_an_output_folder_that_is_a_file(cli, config, tmp_path):
    (tmp_path / "out").write_text("")
    code, _, err = cli("train", config(), "--output", "out")
    assert code == 5 and "--output" in err and "out" in err


def test_a_model_that_fails_on_the_way_keeps_what_was_measured(cli, config, tmp_path):
    fails_later = (
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.body, self.calls = nn.Linear(2, 2), 0\n"
        "    def forward(self, x):\n"
        "        self.calls += 1\n"
        "        if self.calls > 11: raise ValueError('tired')\n"
        "        return self.body(x)\n"
        "def net(): return Net()\n"
    )
    code, _, err = cli("train", config([OWN_MODEL], m__py=fails_later), "--output", "out")
    assert code == 4 and "m.py:8" in err and "tired" in err
    run = tmp_path / "out" / "small" / "latest"
    summary = json.loads((run / "summary.json").read_text())
    assert summary["status"] == "failed" and "tired" in summary["reason"]
    rows = (run / "metrics.csv").read_text().splitlines()
    assert len(rows) - 1 == summary["steps"] > 0


def test_divergence_has_its_own_exit_code_and_keeps_its_results(cli, config, tmp_path):
    replace = [("{kind: spirals, samples: 240, batch_size: 24}", "{kind: regression, batch_size: 24}")]
    path = config([*replace, ("schedule: {kind: one_cycle}", "schedule: constant")])
    code, out, _ = cli("train", path, "--set", "optimizer.lr=1e6", "--output", "out")
    assert code == 3 and out.startswith("peak lr 1e6 (--set optimizer.lr=1e6)") and "\ndiverged after" in out
    assert json.loads((tmp_path / "out/small/latest/summary.json").read_text())["status"] == "diverged"


def test_an_lr_from_a_run_that_has_none(cli, config):
    cli("train", config(), "--output", "out", "--quiet")
    code, _, err = cli("train", config(), "--lr-from", "out/small/latest", "--output", "out")
    assert code == 2 and "train run" in err and "range-test" in err
    code, _, err = cli("train", config(), "--lr-from", "nowhere")
    assert code == 2 and "no such folder" in err


def test_flags_that_contradict_each_other(cli, config):
    path = config()
    code, _, err = cli("train", path, "--config", "other.yaml")
    assert code == 2 and "two configs" in err
    code, _, err = cli("train", path, "--resume", "out")
    assert code == 2 and "--resume" in err
    code, _, err = cli("train", path, "--lr-from", "x", "--set", "optimizer.lr=1")
    assert code == 2 and "leave one out" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "c.yaml", "--lr", "0.1"], "write --set optimizer.lr=0.1"),
        (["range-test", "c.yaml", "--batch-size", "8"], "write --set data.batch_size=64"),
        (["tune", "c.yaml", "--epochs=3"], "write --set train.duration=10ep"),
    ],
)
def test_an_option_that_is_a_key_of_the_config_is_said_to_be_one(cli, arguments, words):
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "") and "No such option" in err and words in err


def test_other_options_are_no_keys(cli):
    for arguments in (["train", "c.yaml", "--colour", "red"], ["runs", "--lr", "1"]):
        code, _, err = cli(*arguments)
        assert code == 2 and "No such option" in err and "--set" not in err


def test_what_stands_there_for_an_option_is_an_override_that_works():
    from lrtool.cli.parts.options import _OVERRIDES
    from lrtool.config.load import load_config

    for text in _OVERRIDES.values():
        if "=NAME" not in text:
            load_config(None, [text])
