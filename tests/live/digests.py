# ruff: noqa: NPY002 - what a user draws from the global state has to be put back
"""What live objects hold, as text that differs where anything does."""

import hashlib
import random

import numpy as np
import torch
from torch import nn


def digest(model, optimizer=None, schedulers=(), loader=None, others=()):
    """Model, gradients, modes, optimizer, schedulers, random states, autocast and the loader's generator."""
    parts = []
    for name, each in [*model.named_parameters(), *model.named_buffers()]:
        gradient = None if each.grad is None else (id(each.grad), tensor(each.grad))
        parts.append((name, id(each), each.data_ptr(), each.requires_grad, tensor(each), gradient))
    for name, module in model.named_modules():
        parts.append((name, id(module), holds(vars(module))))
    if optimizer is not None:
        parts.append([(id(p), holds(state)) for p, state in optimizer.state.items()])
        parts += [[(key, holds(value)) for key, value in group.items()] for group in optimizer.param_groups]
        parts.append(list(vars(optimizer)))
    parts += [holds({k: v for k, v in vars(each).items() if k != "optimizer"}) for each in schedulers]
    parts += [tensor(torch.get_rng_state()), holds(np.random.get_state()), random.getstate()]
    parts += [torch.is_autocast_enabled("cpu"), str(torch.get_autocast_dtype("cpu")), torch.is_grad_enabled()]
    if loader is not None and getattr(loader, "generator", None) is not None:
        parts.append(tensor(loader.generator.get_state()))
    parts += [holds(each) for each in others]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def tensor(value):
    return hashlib.sha256(value.detach().contiguous().cpu().reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()


def holds(value):
    if isinstance(value, torch.Tensor):
        return (id(value), tuple(value.shape), tensor(value))
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, dict):
        return [(key if not isinstance(key, torch.Tensor) else id(key), holds(each)) for key, each in value.items()]
    if isinstance(value, list | tuple):
        return [holds(each) for each in value]
    return value if isinstance(value, int | float | str | type(None)) else type(value).__name__


class Net(nn.Module):
    """A model with all that a training moves: dropout, batch norm, a frozen part, a counter, a history."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2))
        self.head = nn.Linear(8, 2)
        self.body[0].bias.requires_grad_(False)
        self.calls, self.seen = 0, [0]
        self.ran = torch.zeros(1)

    def forward(self, x):
        self.calls += 1
        self.seen.append(self.calls)
        self.ran = self.ran + random.random() + np.random.rand()
        return self.head(self.body(x))


def trained(optimizer_class=torch.optim.AdamW, **options):
    """A model after two updates, with its optimizer, a scheduler, a loader, and gradients that are there."""
    torch.manual_seed(0)
    model = Net()
    model.body[1].eval()
    groups = [{"params": [model.body[0].weight], "lr": 1e-4}, {"params": list(model.head.parameters())}]
    optimizer = optimizer_class(groups, lr=1e-3, **options)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 5)
    data = torch.utils.data.TensorDataset(torch.randn(60, 6), torch.randint(2, (60,)))
    loader = torch.utils.data.DataLoader(data, 10, shuffle=True, generator=torch.Generator().manual_seed(3))
    for x, y in list(loader)[:2]:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    scheduler.step()
    return model, optimizer, scheduler, loader
