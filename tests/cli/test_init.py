import pytest

from lrtool import optimizers, schedules
from lrtool.tasks import datasets, models

REGISTRIES = {
    "model": models.KINDS,
    "data": datasets.KINDS,
    "optimizer": optimizers.KINDS,
    "schedule": schedules.KINDS,
}
KINDS = [(option, kind) for option, registry in REGISTRIES.items() for kind in registry.kinds if kind != "use"]

#: What only the user knows, with a value that will do for a check.
FILLED = {
    "data.name": "name: MNIST",
    "schedule.schedule": "schedule: cosine",
    "schedule.segments": "segments: [linear]",
}


@pytest.mark.parametrize(("option", "kind"), KINDS)
def test_every_kind_gives_a_config_that_check_accepts_once_filled_in(cli, tmp_path, option, kind):
    code, out, err = cli("init", "c.yaml", f"--{option}", kind)
    assert code == 0 and out == ""
    path = tmp_path / "c.yaml"
    text = path.read_text()
    asked = err.partition("fill in before use: ")[2].strip()
    for key in filter(None, asked.split(", ")):
        name = key.rpartition(".")[2]
        if key == "schedule.file":
            (tmp_path / "x").write_text("step,factor\n0,1\n1,0.5\n")
        assert f"  {name}: …" in text
        text = text.replace(f"  {name}: …", "  " + FILLED.get(key, f"{name}: x"))
    assert ": …" not in text
    path.write_text(text)
    code, _, err = cli("check", "c.yaml")
    assert code == 0, err


def test_ones_own_code_is_a_target(cli):
    code, out, err = cli("init", "--model", "my_model.py:Net", "--data", "my_data.py:load")
    assert code == 0 and err == ""
    assert "use: my_model.py:Net" in out and "use: my_data.py:load" in out and "args: {}" in out


def test_every_key_has_a_comment_that_says_what_it_means(cli):
    _, out, _ = cli("init")
    fields = [line for line in out.splitlines() if line.startswith("  ")]
    assert len(fields) > 20
    assert all("# " in line and line.rpartition("# ")[2] for line in fields)


def test_the_default_trains(cli):
    assert cli("init", "c.yaml")[0] == 0
    code, _, err = cli("train", "c.yaml", "--smoke", "--quiet")
    assert code == 0, err


@pytest.mark.parametrize("name", ["1e-3", "no", "a: b", "# x", "ü"])
def test_any_name_survives(cli, name):
    code, out, _ = cli("init", "c.yaml", "--name", name)
    assert code == 0
    code, out, _ = cli("check", "c.yaml")
    assert code == 0 and name in out


def test_a_file_is_never_overwritten_unasked(cli, tmp_path):
    (tmp_path / "c.yaml").write_text("mine")
    code, out, err = cli("init", "c.yaml")
    assert code == 2 and out == "" and "c.yaml" in err and "--force" in err
    assert (tmp_path / "c.yaml").read_text() == "mine"
    assert cli("init", "c.yaml", "--force")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--model", "mpl"], 2, "did you mean 'mlp'?"),
        (["--optimizer", "quantum"], 2, "choose one of: adafactor"),
        (["none/c.yaml"], 5, "none/c.yaml: cannot write here: No such file or directory; give a FILE"),
        ([".", "--force"], 5, "give a FILE"),
        (["--optimizer", "o.py:"], 2, "is not a target; write for example my_optimizer.py:Name"),
    ],
)
def test_mistakes(cli, arguments, code, words):
    got, out, err = cli("init", *arguments)
    assert (got, out) == (code, "") and words in err
