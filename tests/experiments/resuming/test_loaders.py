"""A run stopped within an epoch and gone on with is the one that never stopped, whatever gives it its data."""

import logging

import pytest

from lrtool.config.load import load_config
from lrtool.errors import Interrupted, TaskError, UsageError
from lrtool.experiments.setup import prepare
from lrtool.experiments.train import resume_training, run_training
from lrtool.runs.folder import RunFolder
from tests.experiments.test_train import StopAt, bytes_without_seconds

CODE = '''\
import itertools, random
import numpy as np, torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, WeightedRandomSampler


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.2), nn.Linear(8, 1))

    def forward(self, x):
        return self.layers(x)


def drawn():
    """From each of the states that people draw from."""
    return torch.rand(()).item() + float(np.random.rand()) + random.random()


class Augmented(Dataset):
    def __init__(self, size=40):
        self.x = torch.randn(size, 3)
        self.own = np.random.default_rng()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        x = self.x[i] + 0.1 * drawn() + 0.1 * float(self.own.random())
        return x, self.x[i].sum().reshape(1)


class Stream(IterableDataset):
    """Without an end, or a place."""

    def __iter__(self):
        for n in itertools.count():
            x = torch.full((3,), float(n % 7)) / 7 + drawn()
            yield x, x.sum().reshape(1)


class Placed(Stream):
    """The same that knows where it is."""

    def __init__(self, size=40):
        self.n, self.size = 0, size

    def __iter__(self):
        while self.n < self.size:
            self.n += 1
            x = torch.full((3,), float(self.n)) / self.size + drawn()
            yield x, x.sum().reshape(1)
        self.n = 0

    def state_dict(self):
        return {"n": self.n}

    def load_state_dict(self, state):
        self.n = state["n"]


class Own:
    """A loader of nobody's: batches from a generator of its own, whose state is nested and has arrays."""

    def __init__(self, bad=None):
        self.rng, self.left, self.bad = np.random.default_rng(3), 5, bad

    def __iter__(self):
        while self.left:
            self.left -= 1
            x = torch.tensor(self.rng.random((8, 3)), dtype=torch.float32) + drawn()
            yield x, x.sum(1, keepdim=True)
        self.left = 5

    def state_dict(self):
        state = {"rng": self.rng.bit_generator.state, "left": [np.array([self.left]), np.int64(self.left), (b"x", 1)]}
        return {**state, "bad": self.bad} if self.bad else state

    def load_state_dict(self, state):
        self.rng.bit_generator.state = state["rng"]
        (left,), count, rest = state["left"]
        assert isinstance(count, np.int64) and rest == (b"x", 1)
        self.left = int(left)


def mixed(samples):
    """Mixes the samples of a batch at random."""
    x, y = torch.utils.data.default_collate(samples)
    share, other = random.random(), torch.randperm(len(x))
    return share * x + (1 - share) * x[other], share * y + (1 - share) * y[other]


def stateful(dataset, **settings):
    from torchdata.stateful_dataloader import StatefulDataLoader

    return StatefulDataLoader(dataset, batch_size=8, **settings), val()


def val():
    x = torch.linspace(-1, 1, 30).reshape(10, 3)
    return x, x.sum(1, keepdim=True)


class Unknown:
    pass


CASES = {
    "dataset": lambda: (Augmented(), val()),
    "loader": lambda: (DataLoader(Augmented(), batch_size=8, collate_fn=mixed), val()),
    "workers": lambda: (DataLoader(Augmented(), batch_size=8, collate_fn=mixed, num_workers=2), val()),
    "weighted": lambda: DataLoader(Augmented(), 8, sampler=WeightedRandomSampler([*range(1, 41)], 40)),
    "stream": lambda: (Stream(), val()),
    "stream-loader": lambda: (DataLoader(Stream(), batch_size=8), val()),
    "own": lambda: (Own(), val()),
    "own-alone": lambda: Own(),
    "bad": lambda: (Own(Unknown()), val()),
    "stateful": lambda: stateful(Augmented(), shuffle=True),
    "stateful-workers": lambda: stateful(Augmented(), shuffle=True, num_workers=2),
    "stateful-stream": lambda: stateful(Stream()),
    "stateful-placed": lambda: stateful(Placed()),
    "stateful-placed-workers": lambda: stateful(Placed(), num_workers=2),
}


def load(case):
    return CASES[case]()
'''
CONFIG = """\
name: {case}
model: {{use: "mine.py:Net"}}
data: {{use: "mine.py:load", args: {{case: {case}}}, samples: 40{more}}}
optimizer: {{kind: sgd, lr: 0.02, momentum: 0.9}}
train: {{duration: 18, eval_every: 6, checkpoint_every: 2}}
"""
ALWAYS = ["dataset", "loader", "workers", "weighted", "stream", "stream-loader", "own", "own-alone"]
UNSIZED = ("dataset", "stream")
TORCHDATA = ["stateful", "stateful-workers", "stateful-stream", "stateful-placed", "stateful-placed-workers"]


pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def config_of(tmp_path):
    def written(case):
        (tmp_path / "mine.py").write_text(CODE)
        (tmp_path / f"{case}.yaml").write_text(
            CONFIG.format(case=case, more=", batch_size: 8" if case in UNSIZED else "")
        )
        return load_config(tmp_path / f"{case}.yaml")

    return written


def result(run):
    """What a run computed, byte for byte."""
    folder = run.session.folder
    weights = sorted(folder.checkpoints.glob("step-*.safetensors"))[-1].read_bytes()
    best = (folder.checkpoints / "best.safetensors").read_bytes()
    return weights, best, bytes_without_seconds(folder.path)


def trained(config, output, silent):
    return result(run_training(prepare(config), output, silent))


@pytest.mark.parametrize(
    ("case", "stop"),
    [*((case, 7) for case in [*ALWAYS, *TORCHDATA]), *((case, 10) for case in ["workers", "own", *TORCHDATA])],
)
def test_it_goes_on_as_if_it_had_never_stopped(case, stop, config_of, tmp_path, silent):
    """Five batches are an epoch or a pass: 7 is in the middle of one, 10 at the end."""
    if case in TORCHDATA:
        pytest.importorskip("torchdata.stateful_dataloader")
    config = config_of(case)
    whole = trained(config, tmp_path / "whole", silent)
    with pytest.raises(Interrupted):
        run_training(prepare(config), tmp_path / "cut", lambda *_: StopAt(stop))
    folder = RunFolder.open(tmp_path / "cut" / case / "latest")
    again = prepare(load_config(folder.config, code_beside=False), [f"{tmp_path}/"])
    assert result(resume_training(again, folder, silent)) == whole


def test_the_number_of_workers_changes_nothing(config_of, tmp_path, silent):
    _, _, alone = trained(config_of("loader"), tmp_path, silent)
    _, _, together = trained(config_of("workers"), tmp_path, silent)
    assert alone == together


def test_a_state_that_no_checkpoint_can_hold_is_refused(config_of, tmp_path, silent):
    with pytest.raises(TaskError, match=r"the loader's state/loader/bad is a Unknown, which a checkpoint cannot hold"):
        run_training(prepare(config_of("bad")), tmp_path, silent)


def test_batches_of_another_size_are_refused(config_of, tmp_path, silent):
    config = config_of("own").with_data(batch_size=16)
    with pytest.raises(UsageError, match="makes batches of 8 samples, but the config says 16"):
        prepare(config)


def test_what_becomes_of_a_stream_is_said(config_of, caplog):
    with caplog.at_level(logging.WARNING):
        prepare(config_of("stream"))
    assert "a run that goes on reads the stream from its beginning again" in caplog.text
