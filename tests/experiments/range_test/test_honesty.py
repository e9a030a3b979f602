"""Losses that fall along their own gradient, and those of two players in one."""

import pytest

from lrtool.experiments.range_test.honesty import falls_along_its_gradient

PLAYERS = """
import torch
from torch import nn
from torch.nn import functional as F

class Adversaries(nn.Module):
    '''A generator and a discriminator, each of whose losses is cut off from the other.'''
    def __init__(self):
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
        self.discriminator = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, x, labels):
        fake = self.generator(torch.randn(len(x), 4))
        real, cut = self.discriminator(x), self.discriminator(fake.detach())
        frozen = {name: p.detach() for name, p in self.discriminator.named_parameters()}
        fooled = torch.func.functional_call(self.discriminator, frozen, (fake,))
        ones, zeros = torch.ones_like(real), torch.zeros_like(cut)
        bce = F.binary_cross_entropy_with_logits
        return {"loss": bce(real, ones) + bce(cut, zeros) + bce(fooled, ones)}

class Turned(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()
    @staticmethod
    def backward(ctx, g):
        return -g

class Reversal(nn.Module):
    '''Features that are to hide a domain from the head that looks for it.'''
    def __init__(self):
        super().__init__()
        self.features, self.domain = nn.Linear(2, 8), nn.Linear(8, 2)

    def forward(self, x, labels):
        return {"loss": F.cross_entropy(self.domain(Turned.apply(torch.tanh(self.features(x)))), labels)}
"""
DATA = """
import torch

def load():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(96, 2, generator=g)
    return [{"x": a, "labels": b} for a, b in zip(x, (x[:, 0] > 0).long())]
"""


@pytest.mark.parametrize("model", ["Adversaries", "Reversal"])
def test_two_players_in_one_loss_are_found_out(configured, tmp_path, model):
    (tmp_path / "m.py").write_text(PLAYERS)
    (tmp_path / "d.py").write_text(DATA)
    setup = configured(model={"use": f"m.py:{model}"}, data={"use": "d.py:load", "batch_size": 24})
    assert not falls_along_its_gradient(setup)


MODELS = [
    {"kind": "linear"},
    {"kind": "mlp", "hidden": [64, 64]},
    {"kind": "mlp", "hidden": [16] * 8, "activation": "tanh"},
    {"kind": "mlp", "hidden": [32, 32], "norm": "batch", "dropout": 0.3},
    {"kind": "mlp", "hidden": [32], "norm": "layer"},
]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_losses_that_people_train_fall_along_their_gradients(configured, model, seed):
    assert falls_along_its_gradient(configured(model=model, seed=seed))
    regression = configured(model=model, seed=seed, data={"kind": "regression", "condition": 100.0}, loss="mse")
    assert falls_along_its_gradient(regression)


@pytest.mark.parametrize("kind", ["cnn", "resnet", "gru"])
def test_images_too(configured, kind):
    assert falls_along_its_gradient(configured(model={"kind": kind}, data={"kind": "digits"}))


def test_text_too(configured):
    model = {"kind": "transformer", "width": 16, "depth": 1, "heads": 2}
    assert falls_along_its_gradient(configured(model=model, data={"kind": "text", "context": 8, "batch_size": 8}))
