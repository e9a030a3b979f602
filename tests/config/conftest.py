import pytest

from lrtool.config.load import load_config
from lrtool.config.problems import ConfigError

GOOD = """\
name: small
model: {kind: mlp, hidden: [8]}
data: {kind: digits, batch_size: 32}
optimizer: {kind: sgd, lr: 0.1, momentum: 0.9}
schedule: {kind: cosine, warmup: 5%}
"""


@pytest.fixture
def good():
    """A config, one section a line."""
    return GOOD


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a file into a folder of the test's own, which is also the working folder."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="c.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture
def problems():
    """The problems of a config, as the user reads them."""

    def problems(path, *overrides):
        with pytest.raises(ConfigError) as caught:
            load_config(path, overrides)
        return [str(problem).replace(str(path), path.name) for problem in caught.value.problems]

    return problems
