"""What one step costs through the loop engine, against a hand-written PyTorch loop over the same tensors.

Both train the digits MLP (64-128-128-10, batch 64, SGD with momentum 0.9) from the same weights over the same
batches with the same optimizer, in turns, in one process. With as many threads their last losses must be equal, so the
work is the same; with more threads the plain loop sums in another order, which 2,000 updates make visible.
The engine records loss and LR of every step, the plain loop nothing. torch-lr-finder and Lightning's lr_find run
too where they are installed.

The engine trains so small a model with one thread. What is judged is its overhead: against the plain loop with as many
threads. The first row, against the plain loop with all threads, also has the price of that choice, which is a few
percent on an idle machine; beside other programs the plain loop's threads wait for each other, and it is the plain loop
that takes many times as long.

    python tests/benchmarks/loop_overhead.py [--steps 2000] [--rounds 9]
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.util
import io
import logging
import math
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable

import torch
from torch.utils.data import DataLoader, TensorDataset

from lrtool.engine.device import intra_threads
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.loop.threads import worthwhile_threads
from lrtool.engine.trials import Recipe, Trial
from lrtool.optimizers import KINDS as OPTIMIZERS
from lrtool.schedules import KINDS as SCHEDULES
from lrtool.tasks.base import BuildContext, Task, seeded_model
from lrtool.tasks.build import build_task
from lrtool.tasks.datasets import KINDS as DATASETS
from lrtool.tasks.losses import KINDS as LOSSES
from lrtool.tasks.models import KINDS as MODELS
from lrtool.tasks.sources import BatchOrder, TensorSource

LIMIT = 1.10
LR = 0.05
OPTIMIZER = OPTIMIZERS["sgd"](lr=LR, momentum=0.9)

Runner = Callable[[Task, int], tuple[float, float]]


def digits_mlp() -> Task:
    """The task, without validation: training steps are what is compared."""
    data, model = DATASETS["digits"](batch_size=64), MODELS["mlp"](hidden=[128, 128])
    task = build_task("digits-mlp", model, data, LOSSES["cross_entropy"](), None, BuildContext())
    return dataclasses.replace(task, val=None)


def plain(task: Task, steps: int) -> tuple[float, float]:
    """The hand-written loop: seconds, and the last loss."""
    assert isinstance(task.train, TensorSource) and task.loss is not None
    (inputs,), target, loss_fn = task.train.inputs, task.train.target, task.loss
    model = seeded_model(task, 0)
    optimizer = OPTIMIZER.build(model.named_parameters())
    order = BatchOrder(0, len(target), task.batch_size)
    began = time.perf_counter()
    step = epoch = 0
    while step < steps:
        for rows in torch.from_numpy(order.epoch(epoch)):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_fn(model(inputs.index_select(0, rows)), target.index_select(0, rows))
            loss.backward()
            optimizer.step()
            step += 1
            if step == steps:
                break
        epoch += 1
    return time.perf_counter() - began, loss.item()


def engine(task: Task, steps: int) -> tuple[float, float]:
    """The loop engine, set-up included: seconds, and the last loss."""
    curve = SCHEDULES["constant"]().bind(LR, steps)
    began = time.perf_counter()
    (trace,) = LoopEngine().run(task, [Trial(0, steps, {"lr": curve})], Recipe(OPTIMIZER, stop_on_divergence=True))
    seconds = time.perf_counter() - began
    assert trace.steps == steps == len(trace.lr)
    return seconds, float(trace.train_loss[-1])


def torch_lr_finder(task: Task, steps: int) -> tuple[float, float]:
    """torch-lr-finder's range test over as many steps (its default batching: a DataLoader)."""
    from torch_lr_finder import LRFinder

    model, loader = seeded_model(task, 0), _loader(task)
    optimizer = OPTIMIZER.build(model.named_parameters())
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        finder = LRFinder(model, optimizer, task.loss, device="cpu")
        began = time.perf_counter()
        finder.range_test(loader, end_lr=LR * 1.01, num_iter=steps, diverge_th=math.inf)
        seconds = time.perf_counter() - began
    return seconds, finder.history["loss"][-1]


def lightning_lr_find(task: Task, steps: int) -> tuple[float, float]:
    """Lightning's lr_find over as many steps."""
    import lightning.pytorch as lp
    from lightning.pytorch.tuner import Tuner

    class Module(lp.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.lr = seeded_model(task, 0), LR

        def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
            assert task.loss is not None
            return task.loss(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        trainer = lp.Trainer(
            accelerator="cpu",
            max_epochs=-1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        began = time.perf_counter()
        found = Tuner(trainer).lr_find(
            Module(), _loader(task), max_lr=LR * 1.01, num_training=steps, early_stop_threshold=None
        )
        seconds = time.perf_counter() - began
    assert found is not None
    return seconds, found.results["loss"][-1]


def _loader(task: Task) -> DataLoader[tuple[torch.Tensor, ...]]:
    assert isinstance(task.train, TensorSource)
    dataset = TensorDataset(*task.train.inputs, task.train.target)
    return DataLoader(dataset, batch_size=task.batch_size, shuffle=True, drop_last=True)


def measure(task: Task, runner: Runner, steps: int, rounds: int) -> tuple[list[float], list[float], bool]:
    """Milliseconds per step of the plain loop and of the other, round by round, and whether their losses agree."""
    theirs, ours, agree = [], [], True
    runner(task, 50)
    plain(task, 50)
    for number in range(rounds):
        # The order alternates, so that a drift of the machine's speed favours neither.
        for which in (plain, runner) if number % 2 == 0 else (runner, plain):
            seconds, loss = which(task, steps)
            (ours if which is runner else theirs).append(1000 * seconds / steps)
            if which is plain:
                expected = loss
            else:
                got = loss
        agree = agree and expected == got
    return theirs, ours, agree


def main() -> int:
    """Print the table; 0 if the engine keeps within the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    task = digits_mlp()
    print(f"digits MLP 64-128-128-10, batch 64, SGD momentum 0.9; {torch.get_num_threads()} threads; ", end="")
    print(f"{options.rounds} rounds of {options.steps} steps")
    print(f"{'':24}{'ms/step':>10}{'plain':>10}{'ratio min':>12}{'median':>9}{'max':>9}")
    peers: list[tuple[str, str, Runner]] = [
        ("torch-lr-finder", "torch_lr_finder", torch_lr_finder),
        ("lightning lr_find", "lightning", lightning_lr_find),
    ]
    theirs, ours, _ = measure(task, engine, options.steps, options.rounds)
    report("engine, plain: all", theirs, ours)
    threads = worthwhile_threads(task, seeded_model(task, 0), torch.device("cpu"))
    with intra_threads(threads):
        theirs, ours, agree = measure(task, engine, options.steps, options.rounds)
    median = report(f"engine, plain: {threads} thread", theirs, ours)
    for name, package, runner in peers:
        if importlib.util.find_spec(package) is None:
            print(f"{name:24}skipped: the package {package} is not installed")
            continue
        # Their losses come from other batches, so they are not compared.
        theirs, ours, _ = measure(task, runner, min(options.steps, 500), max(3, options.rounds // 3))
        report(name, theirs, ours)
    if not agree:
        print("FAIL: the engine and the plain loop ended at different losses")
        return 1
    print(f"{'PASS' if median <= LIMIT else 'FAIL'}: median ratio {median:.3f} with as many threads, limit {LIMIT:.2f}")
    return 0 if median <= LIMIT else 1


def report(name: str, plain_ms: list[float], ms: list[float]) -> float:
    """Print a row; gives the median ratio of the rounds."""
    ratios = [b / a for a, b in zip(plain_ms, ms, strict=True)]
    middle = statistics.median(ratios)
    print(
        f"{name:24}{statistics.median(ms):10.4f}{statistics.median(plain_ms):10.4f}"
        f"{min(ratios):12.3f}{middle:9.3f}{max(ratios):9.3f}"
    )
    return middle


if __name__ == "__main__":
    sys.exit(main())
