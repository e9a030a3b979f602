"""What the tests of tasks share."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lrtool.tasks.base import BuildContext, Task, seeded_model
from lrtool.tasks.sources import BatchOrder


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def context(tmp_path: Path) -> BuildContext:
    """A config's folder that is empty."""
    return BuildContext(folder=tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a file beside the config."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write


@pytest.fixture
def train() -> Callable[..., tuple[float, float]]:
    """Train a task by hand: (first loss, mean of the last ten losses)."""

    def train(task: Task, steps: int, lr: float) -> tuple[float, float]:
        model = seeded_model(task, 0)
        optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
        order = BatchOrder(0, len(task.train), task.batch_size)
        losses = []
        for step in range(steps):
            epoch, place = divmod(step, order.per_epoch)
            batch = task.train.take(torch.from_numpy(order.epoch(epoch)[place]))
            loss = task.loss_of(batch.forward(model), batch.target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses[0], sum(losses[-10:]) / 10

    return train
