import pytest

from lrtool.config.document import parse_document
from lrtool.config.load import validate
from lrtool.engine.observer import Observer
from lrtool.experiments.setup import prepare

CONFIG = """
name: small
model: {kind: mlp, hidden: [16], dropout: 0.1}
data: {kind: spirals, samples: 240, batch_size: 24}
optimizer: {kind: sgd, lr: 0.3, momentum: 0.9}
schedule: {kind: one_cycle}
train: {duration: 5ep, eval_every: 1ep, checkpoint_every: 1ep}
range_test: {start: 1e-4, end: 100, steps: 60, seeds: 2, probe_steps: 0}
"""


@pytest.fixture
def silent():
    return lambda *_: Observer()


@pytest.fixture
def configured(tmp_path):
    """Makes a setup of the small config, with keys replaced by dotted name."""

    def make(**changes):
        document = parse_document(CONFIG, "test.yaml")
        for key, value in changes.items():
            *path, last = key.split("__")
            target = document.data
            for part in path:
                target = target.setdefault(part, {})
            target[last] = value
        return prepare(validate(document).beside(tmp_path))

    return make
