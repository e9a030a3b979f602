import pytest

from lrtool.config.document import parse_document
from lrtool.config.load import validate
from lrtool.config.problems import ConfigError


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("model: m.py:net", "write model: {use: 'm.py:net'}"),
        ("model: {kind: 'm.py:net'}", "write model: {use: 'm.py:net'}"),
        ("model: m.py", "write model: {use: 'm.py:Name'}"),
        ("optimizer: torch.optim:NAdam", "write optimizer: {use: 'torch.optim:NAdam'}"),
        ("data: d.csv", "write data: {kind: csv, path: d.csv, target: …}"),
        ("data: {kind: d.parquet}", "write data: {kind: parquet, path: d.parquet, target: …}"),
        ("data: d.npz", "write data: {kind: numpy, path: d.npz}"),
        ("data: {path: d.csv, target: y}", "it has no kind  write kind: csv"),
        ("data: {path: photos}", "it has no kind  write kind: and one of: csv"),
        ("data: digit", "did you mean 'digits'?"),
    ],
)
def test_a_file_or_a_target_in_place_of_a_kind(line, words):
    with pytest.raises(ConfigError) as caught:
        validate(parse_document(line, "c.yaml"))
    assert words in str(caught.value)


def test_a_file_of_data_in_place_of_a_target():
    text = "model: mlp\ndata: {use: d.csv}\noptimizer: {kind: sgd, lr: 0.1}\n"
    with pytest.raises(ConfigError) as caught:
        validate(parse_document(text, "c.yaml"))
    assert "'d.csv' is not a target  write data: {kind: csv, path: d.csv, …}" in str(caught.value)
