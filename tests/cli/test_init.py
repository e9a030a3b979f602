import numpy as np
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


TABLE = "size,town,price\n" + "".join(f"{n % 7},{'ab'[n % 2]},{n % 7 * 1.5}\n" for n in range(100))


def data_files(folder):
    """Files and a folder of data, each of which a config can be written for."""
    (folder / "d.csv").write_text(TABLE)
    (folder / "d.tsv").write_text(TABLE.replace(",", "\t"))
    (folder / "table.txt").write_text(TABLE.replace(",", ";"))
    (folder / "UPPER.CSV").write_text(TABLE)
    (folder / "play.txt").write_text(
        "To be, or not to be.\nThat is the question.\n\nWhether, sir, or not, who knows?\n"
    )
    x, y = np.random.default_rng(0).normal(size=(100, 3)), np.arange(100) % 3
    np.savez(folder / "named.npz", x=x, y=y)
    np.savez(folder / "odd.npz", images=x, digit=y)
    np.save(folder / "x.npy", x)
    np.save(folder / "labels.npy", y)
    for number in range(80):
        at = folder / "pets" / ("cat", "dog")[number % 2]
        at.mkdir(parents=True, exist_ok=True)
        pytest.importorskip("PIL.Image").new("RGB", (8, 8), (number, 0, 0)).save(at / f"{number}.png")


@pytest.mark.parametrize(
    ("name", "kind", "target", "listed"),
    [
        ("d.csv", "csv", "price", "size, town, price"),
        ("d.tsv", "csv", "price", "size, town, price"),
        ("table.txt", "csv", "price", "size, town, price"),
        ("UPPER.CSV", "csv", "price", "size, town, price"),
        ("named.npz", "numpy", None, None),
        ("odd.npz", "numpy", "digit", "images, digit"),
        ("x.npy", "numpy", "labels.npy", "labels.npy"),
        ("pets", "image_folder", None, None),
        ("pets/", "image_folder", None, None),
        ("./d.csv", "csv", "price", "size, town, price"),
    ],
)
def test_a_file_of_data_finds_its_kind_and_what_there_is_to_choose(cli, tmp_path, name, kind, target, listed):
    data_files(tmp_path)
    code, _, err = cli("init", "c.yaml", "--data", name)
    text = (tmp_path / "c.yaml").read_text()
    assert code == 0 and f"  kind: {kind} " in text and f"  path: {name.strip('./')} " in text
    assert ("fill in before use: data.target" in err) == (target is not None)
    if target is not None:
        assert f"There are: {listed}" in text
        (tmp_path / "c.yaml").write_text(text.replace("target: …", f"target: {target}"))
    code, _, err = cli("check", "c.yaml", "--resolve")
    assert code == 0, err


def test_a_text_is_no_table(cli, tmp_path):
    data_files(tmp_path)
    code, out, _ = cli("init", "--data", "play.txt")
    assert code == 0 and "  kind: text " in out and "  path: play.txt " in out


def test_a_parquet_file_lists_its_columns(cli, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"a": [1.0, 2.0], "b": ["x", "y"]}), tmp_path / "d.parquet")
    code, out, _ = cli("init", "--data", "d.parquet")
    assert code == 0 and "  kind: parquet " in out and "There are: a, b" in out


def test_a_file_of_data_is_named_from_where_the_user_is(cli, tmp_path):
    for name in ("configs", "raw"):
        (tmp_path / name).mkdir()
    data_files(tmp_path / "raw")
    assert cli("init", "configs/c.yaml", "--data", "raw/x.npy")[0] == 0
    text = (tmp_path / "configs" / "c.yaml").read_text()
    assert "  path: ../raw/x.npy " in text and "There are: ../raw/labels.npy" in text
    (tmp_path / "configs" / "c.yaml").write_text(text.replace("target: …", "target: ../raw/labels.npy"))
    code, _, err = cli("check", "configs/c.yaml", "--resolve")
    assert code == 0, err


def test_a_file_that_is_not_there_yet_is_known_by_its_name(cli):
    code, out, _ = cli("init", "--data", "later.csv")
    assert code == 0 and "  kind: csv " in out and "  path: later.csv " in out and "  target: … " in out


def test_a_damaged_file_is_left_to_check(cli, tmp_path):
    (tmp_path / "d.npz").write_bytes(b"PK\x03\x04 nothing")
    (tmp_path / "d.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("d.npz", "d.csv"):
        code, out, _ = cli("init", "--data", name)
        assert code == 0 and f"  path: {name} " in out


@pytest.mark.parametrize(
    ("option", "given", "words"),
    [
        ("--data", "book.xlsx", "no kind of data reads such a file; give a .csv"),
        ("--data", "empty", "neither a folder of images for each class nor a saved data set; give a .csv"),
        ("--data", "code.py", "which of its classes and functions is meant is not said; write for example code.py:Net"),
        ("--model", "code.py", "write for example code.py:Net; it defines: Net, load"),
        ("--optimizer", "nowhere.py", "write for example nowhere.py:Name"),
        ("--data", "digit", "did you mean 'digits'?"),
    ],
)
def test_what_no_config_can_be_written_for(cli, tmp_path, option, given, words):
    (tmp_path / "book.xlsx").write_bytes(b"PK")
    (tmp_path / "empty").mkdir()
    (tmp_path / "code.py").write_text("class Net: ...\n\n\ndef load(): ...\n")
    code, out, err = cli("init", option, given)
    assert (code, out) == (2, "") and words in err
