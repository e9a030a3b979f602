import pytest

from lrtool.cli.app import run

CONFIG = """\
name: small
model: {kind: mlp, hidden: [16]}
data: {kind: spirals, samples: 240, batch_size: 24}
optimizer: {kind: sgd, lr: 0.3, momentum: 0.9}
schedule: {kind: one_cycle}
train: {duration: 3ep}
range_test: {start: 1e-4, end: 100, steps: 40, seeds: 2}
"""


@pytest.fixture
def cli(capsys, tmp_path, monkeypatch):
    """Runs a command line in a folder of its own; gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def cli(*arguments):
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return code, captured.out, captured.err

    return cli


@pytest.fixture
def config(tmp_path):
    """Writes the small config with lines replaced, and files beside it."""

    def config(replace=(), **files):
        text = CONFIG
        for old, new in replace:
            assert old in text
            text = text.replace(old, new)
        for name, content in files.items():
            (tmp_path / name.replace("__", ".")).write_text(content)
        path = tmp_path / "c.yaml"
        path.write_text(text)
        return path

    return config
