import pytest

from lrtool.config.document import read_document
from lrtool.config.problems import ConfigError


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("d.csv", "these are data, not a config  write one for them: lrtool init --data {path} mine.yaml"),
        ("d.parquet", "lrtool init --data {path} mine.yaml"),
        ("d.npz", "lrtool init --data {path} mine.yaml"),
        ("m.py", "this is code, not a config  write one for it: lrtool init --model {path}:Name mine.yaml"),
        ("m.py:net", "lrtool init --model {path} mine.yaml"),
        ("w.safetensors", "lrtool train CONFIG --init-from {path}"),
        ("pyproject.toml", "this is a file of the sort .toml, and configs are YAML"),
        ("p.png", "this is no text (not UTF-8)  give the path of a config, a YAML file"),
    ],
)
def test_a_file_that_is_no_config_is_called_what_it_is(tmp_path, name, words):
    path = tmp_path / name
    if ":" not in name:
        path.write_bytes(b"\x89\xff\x00")
    with pytest.raises(ConfigError) as caught:
        read_document(path)
    assert words.format(path=path) in str(caught.value)


@pytest.mark.parametrize("meant", ["mine.yaml", "mine.yml", "mines.yaml"])
def test_a_config_of_another_name_is_found(tmp_path, meant):
    (tmp_path / meant).write_text("name: c\n")
    other = "mine.yml" if meant == "mine.yaml" else "mine.yaml"
    with pytest.raises(ConfigError) as caught:
        read_document(tmp_path / other)
    assert f"there is no such file  did you mean '{tmp_path / meant}'?" in str(caught.value)
