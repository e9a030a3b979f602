"""Range tests of fine-tuning-like tasks in the real Lightning and transformers, beside the finders of others.

    python tests/benchmarks/finetuning.py [TASKS] [--seeds N]

Each task has a small pretrained network that goes on with other data: half have a frozen body or low-rank adapters
beside frozen weights. The truth is a dense grid of LRs, each trained for the whole length by a loop of this file that
makes the same updates; the excess loss of an LR is how far it ends above the grid's best, as a part of what the best
brought the loss down by. Cost: what the finder trained, in whole trainings.
"""

from __future__ import annotations

import argparse
import logging
import math
import statistics
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import lightning
import numpy as np
import torch
import transformers
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.data import DataLoader, TensorDataset

from lrtool.integrations.lightning import suggest_lr
from lrtool.integrations.transformers import range_test

EPOCHS, BATCH, SAMPLES = 10, 32, 640
STEPS = EPOCHS * SAMPLES // BATCH
GRID = np.geomspace(1e-5, 3.0, 23)


class LowRank(nn.Module):
    """Frozen weights with a trained product of two thin matrices beside them (LoRA, arXiv:2106.09685)."""

    def __init__(self, inner: nn.Linear, rank: int = 2) -> None:
        super().__init__()
        self.inner = inner.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, inner.in_features) / math.sqrt(inner.in_features))
        self.up = nn.Parameter(torch.zeros(inner.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + x @ self.down.T @ self.up.T


class Net(nn.Module):
    """A body and a head; as models of transformers do, it returns its loss."""

    def __init__(self, classes: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Dropout(dropout), nn.Linear(32, 32), nn.ReLU())
        self.head = nn.Linear(32, classes)

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        out = self.head(self.body(x))
        loss = mse_loss(out, labels) if labels.is_floating_point() else cross_entropy(out, labels)
        return {"loss": loss, "logits": out}


@dataclass(frozen=True)
class Task:
    """A task: what is trained of the network, with which optimizer, in which framework."""

    trained: str
    optimizer: str
    classes: int
    dropout: float
    framework: str

    def data(self, pretraining: bool) -> TensorDataset:
        """Inputs and targets by a fixed random function, which is another one after pretraining, but alike."""
        generator = torch.Generator().manual_seed(self.classes)
        first, second = torch.randn(2, 12, max(1, self.classes), generator=generator)
        weights = first if pretraining else 0.6 * first + 0.8 * second
        x = torch.randn(SAMPLES, 12, generator=generator)
        y = torch.tanh(x @ weights) + 0.1 * torch.randn(SAMPLES, weights.shape[1], generator=generator)
        return TensorDataset(x, y if self.classes == 1 else y.argmax(1))

    def made(self) -> nn.Module:
        """The pretrained network, with what is not trained frozen."""
        torch.manual_seed(0)
        model = Net(self.classes, self.dropout)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(10):
            _epoch(model, optimizer, self.data(True), lambda: None)
        if self.trained == "head":
            model.body.requires_grad_(False)
        if self.trained == "adapters":
            model.requires_grad_(False)
            model.body[0], model.body[3] = LowRank(model.body[0]), LowRank(model.body[3])
            model.head.requires_grad_(True)
        return model

    def optimizer_of(self, model: nn.Module, lr: float) -> torch.optim.Optimizer:
        """Its optimizer, on what is trained."""
        parameters = [p for p in model.parameters() if p.requires_grad]
        if self.optimizer == "adamw":
            return torch.optim.AdamW(parameters, lr=lr)
        return torch.optim.SGD(parameters, lr=lr, momentum=0.9)


TASKS = [
    Task(trained, optimizer, classes, dropout, framework)
    for number, (trained, optimizer, classes, dropout) in enumerate(
        [
            ("all", "adamw", 4, 0.1),
            ("head", "adamw", 4, 0.0),
            ("all", "sgd", 4, 0.0),
            ("adapters", "adamw", 4, 0.1),
            ("all", "adamw", 1, 0.0),
            ("head", "sgd", 1, 0.0),
            ("all", "sgd", 10, 0.1),
            ("adapters", "adamw", 10, 0.0),
            ("all", "adamw", 10, 0.2),
            ("adapters", "sgd", 4, 0.0),
        ]
    )
    for framework in [("lightning", "transformers")[number % 2]]
]


class Module(lightning.LightningModule):
    """A task's network in Lightning."""

    def __init__(self, task: Task, lr: float = 1e-3) -> None:
        super().__init__()
        self.net, self.task, self.lr = task.made(), task, lr

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        return self.net(*batch)["loss"]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.task.optimizer_of(self.net, self.lr)


def _epoch(model: nn.Module, optimizer: torch.optim.Optimizer, data: TensorDataset, before: Callable[[], None]) -> None:
    model.train()
    for batch in DataLoader(data, BATCH, shuffle=True):
        before()
        optimizer.zero_grad()
        model(*batch)["loss"].backward()
        optimizer.step()


def final(task: Task, lr: float, seeds: int) -> float:
    """The loss over all data after a whole training at one LR, the mean over seeds."""
    losses = []
    for seed in range(seeds):
        model, data = task.made(), task.data(False)
        optimizer = task.optimizer_of(model, lr)
        torch.manual_seed(100 + seed)
        for _ in range(EPOCHS):
            _epoch(model, optimizer, data, lambda: None)
        with torch.no_grad():
            loss = float(model.eval()(*data.tensors)["loss"])
        losses.append(loss if math.isfinite(loss) else math.inf)
    return statistics.mean(losses)


def trainer() -> lightning.Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return lightning.Trainer(max_epochs=EPOCHS, accelerator="cpu", enable_model_summary=False, **quiet)


def found(task: Task) -> tuple[float | None, float]:
    """The LR that lrtool finds in the task's framework, and its cost in trainings."""
    loader = DataLoader(task.data(False), BATCH, shuffle=True)
    options = {"budget": 3.0, "progress": False}
    if task.framework == "lightning":
        result = suggest_lr(trainer(), Module(task), loader, **options)
    else:
        model = task.made()
        settings = {"num_train_epochs": EPOCHS, "per_device_train_batch_size": BATCH, "lr_scheduler_type": "constant"}
        quiet = {"use_cpu": True, "report_to": [], "disable_tqdm": True, "max_grad_norm": 0}
        arguments = transformers.TrainingArguments(tempfile.mkdtemp(), **settings, **quiet)
        samples = [{"x": x, "labels": y} for x, y in task.data(False)]
        optimizers = (task.optimizer_of(model, 1e-3), None)
        result = range_test(
            transformers.Trainer(model, arguments, train_dataset=samples, optimizers=optimizers), **options
        )
    return result.suggested_lr, result.summary["cost"]["trained_runs"]


def by_lightning(task: Task) -> float | None:
    """What Lightning's own finder suggests."""
    from lightning.pytorch.tuner import Tuner

    finder = Tuner(trainer()).lr_find(
        Module(task), DataLoader(task.data(False), BATCH, shuffle=True), update_attr=False
    )
    return finder.suggestion() if finder is not None else None


def by_lr_finder(task: Task) -> float | None:
    """The LR of steepest descent of torch-lr-finder, as its plot suggests it."""
    from torch_lr_finder import LRFinder

    class Output(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            return self.net.head(self.net.body(x))

    model = task.made()
    finder = LRFinder(Output(model), task.optimizer_of(model, 1e-7), mse_loss if task.classes == 1 else cross_entropy)
    finder.range_test(DataLoader(task.data(False), BATCH, shuffle=True), end_lr=10, num_iter=100)
    losses = np.array(finder.history["loss"])
    return float(finder.history["lr"][int(np.gradient(losses[10:-5]).argmin()) + 10])


def rows(tasks: list[Task], seeds: int) -> Iterator[dict[str, float]]:
    """Each task's excess losses, printed as they are found."""
    for task in tasks:
        model = task.made()
        with torch.no_grad():
            start = float(model.eval()(*task.data(False).tensors)["loss"])
        grid = [final(task, lr, seeds) for lr in GRID]
        best = min(grid)
        lr, cost = found(task)
        row = {"cost": cost}
        for name, each in (("lrtool", lr), ("lightning", by_lightning(task)), ("torch-lr-finder", by_lr_finder(task))):
            row[name] = math.inf if each is None else max(0.0, (final(task, each, seeds) - best) / (start - best))
            row[f"{name} lr"] = math.nan if each is None else each
        row["best"] = float(GRID[int(np.argmin(grid))])
        print(task, {name: float(f"{value:.3g}") for name, value in row.items()}, flush=True)
        yield row


def main() -> None:
    """Print each task's row, then the median and the worst of each finder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="?", type=int, default=len(TASKS))
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    done = list(rows(TASKS[: given.tasks], given.seeds))
    for name in ("lrtool", "lightning", "torch-lr-finder", "cost"):
        values = [row[name] for row in done]
        print(f"{name}: median {statistics.median(values):.3g}, worst {max(values):.3g}")


if __name__ == "__main__":
    main()
