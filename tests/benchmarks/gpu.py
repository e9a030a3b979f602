"""What lrtool costs on a GPU, against hand-written loops in the same run, for both engines.

`loop`: the step of the digits MLP, of a ResNet-18 on 32×32 images and of a GPT of about 10M parameters, over the
hand-written loop's, by turns; both end a measurement with one wait for the device. `vector`: the time of 1 … 1,024
digits MLPs per trial and step, over the hand-written loop's, and its part of the matrix-multiply peak that is measured
in the same run; first launched one by one, then as they are by default (recorded, or compiled). At last, whether the
hot loop waits for the device (`torch.cuda.set_sync_debug_mode`).

Without a GPU it runs on the CPU with `--device cpu --quick`, to see that it runs.

    python tests/benchmarks/gpu.py [--device cuda] [--quick]        (under 10 minutes)
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from lrtool.engine.device import resolve_device
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.loop.training import Training
from lrtool.engine.trials import Recipe, Trial
from lrtool.engine.vector.engine import VectorEngine
from lrtool.engine.vector.plan import Plan
from lrtool.optimizers import KINDS as OPTIMIZERS
from lrtool.optimizers import Optimizer
from lrtool.schedules import KINDS as SCHEDULES
from lrtool.tasks.base import BuildContext, DataShape, Task, seeded_model
from lrtool.tasks.build import build_task
from lrtool.tasks.datasets import KINDS as DATASETS
from lrtool.tasks.losses import KINDS as LOSSES
from lrtool.tasks.models import KINDS as MODELS
from lrtool.tasks.sources import BatchOrder, TensorSource

#: The step of `loop` over the hand-written one that is wanted.
LIMIT = 1.10
LR = 0.01


@dataclass(frozen=True)
class Case:
    """A model on made-up data, with the updates of a measurement."""

    name: str
    task: Task
    optimizer: Optimizer
    steps: int


def digits() -> Task:
    """The shipped one, without validation."""
    data, model = DATASETS["digits"](batch_size=64), MODELS["mlp"](hidden=[128, 128])
    task = build_task("digits-mlp", model, data, LOSSES["cross_entropy"](), None, BuildContext())
    return dataclasses.replace(task, val=None)


def images() -> Task:
    """A ResNet-18 on noise of 3×32×32 in ten classes."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2048, 3, 32, 32, generator=generator)
    y = torch.randint(10, (2048,), generator=generator)
    model, shape = MODELS["resnet"](channels=[64, 128, 256, 512], depth=2), DataShape((3, 32, 32), 10, "class")
    return _task("resnet18", model, shape, x, y, 128)


def tokens() -> Task:
    """A GPT of about 10M parameters on noise of 256 tokens."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(256, (512, 257), generator=generator)
    model = MODELS["transformer"](width=384, depth=6, heads=6)
    return _task("gpt-10M", model, DataShape((256,), 256, "token", 256), x[:, :-1], x[:, 1:], 32)


def _task(name: str, model: object, shape: DataShape, x: torch.Tensor, y: torch.Tensor, batch: int) -> Task:
    build = getattr(model, "build")  # noqa: B009 - a specification, of whichever kind
    loss = LOSSES["cross_entropy"]()
    template = digits()
    made = dataclasses.replace(
        template,
        name=name,
        new_model=lambda: build(shape, BuildContext()),
        train=TensorSource((x.contiguous(),), y.contiguous()),
        batch_size=batch,
        metrics={},
    )
    assert loss is not None
    return made


def ready(device: torch.device) -> None:
    """Wait until the device has done all there is."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def plain(case: Case, steps: int, device: torch.device) -> float:
    """Seconds per step of the hand-written loop, data on the device."""
    task = case.task.to(device)
    assert isinstance(task.train, TensorSource)
    (inputs,), target = task.train.inputs, task.train.target
    model = seeded_model(task, 0).to(device).train()
    optimizer = case.optimizer.build(model)
    order = BatchOrder(0, len(target), task.batch_size)
    epochs = range(steps // order.per_epoch + 1)
    batches = [rows for epoch in epochs for rows in torch.from_numpy(order.epoch(epoch)).to(device)][:steps]
    ready(device)
    began = time.perf_counter()
    for rows in batches:
        optimizer.zero_grad(set_to_none=True)
        loss = task.loss_of(model(inputs.index_select(0, rows)), target.index_select(0, rows))
        loss.backward()
        optimizer.step()
    ready(device)
    return (time.perf_counter() - began) / steps


def engine(case: Case, steps: int, device: torch.device) -> float:
    """Seconds per step of `loop`, its records included."""
    curve = SCHEDULES["constant"]().bind(LR, steps)
    recipe = Recipe(case.optimizer, device=device, stop_on_divergence=False)
    ready(device)
    began = time.perf_counter()
    (trace,) = LoopEngine().run(case.task, [Trial(0, steps, {"lr": curve})], recipe)
    assert trace.steps == steps
    return (time.perf_counter() - began) / steps


def loops(device: torch.device, quick: bool) -> bool:
    """Print the table of `loop`; whether all are within the limit."""
    cases = [Case("digits MLP", digits(), OPTIMIZERS["sgd"](lr=LR, momentum=0.9), 50 if quick else 3000)]
    cases.append(Case("ResNet-18, 32x32", images(), OPTIMIZERS["sgd"](lr=LR, momentum=0.9), 2 if quick else 200))
    cases.append(Case("GPT, 10M", tokens(), OPTIMIZERS["adamw"](lr=1e-3), 2 if quick else 200))
    print(f"{'loop':20}{'ms/step':>10}{'plain':>10}{'ratio min':>12}{'median':>9}{'max':>9}")
    fine = True
    for case in cases:
        ratios, ours = [], []
        for which in (plain, engine):
            which(case, max(2, case.steps // 10), device)
        for number in range(1 if quick else 3):
            taken: dict[Callable[..., float], float] = {}
            for which in (plain, engine) if number % 2 == 0 else (engine, plain):
                taken[which] = which(case, case.steps, device)
            ratios.append(taken[engine] / taken[plain])
            ours.append(taken[engine])
        middle = statistics.median(ratios)
        fine &= middle <= LIMIT
        one = 1000 * statistics.median(ours)
        print(f"{case.name:20}{one:10.4f}{one / middle:10.4f}{min(ratios):12.3f}{middle:9.3f}{max(ratios):9.3f}")
    return fine


def peak(device: torch.device, size: int) -> float:
    """Multiply-adds per second of a square product in single precision, as the models use it."""
    a = torch.randn(size, size, device=device)
    for _ in range(3):
        a @ a
    ready(device)
    began, count = time.perf_counter(), 10
    for _ in range(count):
        a @ a
    ready(device)
    return count * size**3 / (time.perf_counter() - began)


def stacks(device: torch.device, quick: bool) -> None:
    """Print the table of `vector`."""
    case = Case("digits MLP", digits(), OPTIMIZERS["sgd"](lr=LR, momentum=0.9), 100 if quick else 500)
    alone = min(plain(case, case.steps, device) for _ in range(3))
    best = peak(device, 512 if quick else 8192)
    # Forward, and twice as much backward; the first layer's input has no gradient.
    layers = ((64, 128), (128, 128), (128, 10))
    work = 64 * (3 * sum(a * b for a, b in layers) - layers[0][0] * layers[0][1])
    print(f"\nhand-written loop {1e6 * alone:.1f} µs a step; peak {2e-12 * best:.2f} TFLOP/s in single precision")
    print(f"{'vector, trials':20}{'µs/trial/step':>14}{'x faster':>10}{'of the peak':>13}   how")
    for trials in (1, 4) if quick else (1, 4, 16, 64, 256, 1024):
        curve = SCHEDULES["constant"]().bind(LR, case.steps)
        many = [Trial(seed, case.steps, {"lr": curve}) for seed in range(trials)]
        recipe = Recipe(case.optimizer, device=device, stop_on_divergence=False)
        for compile in (False, None):
            plans: list[Plan] = []
            run = VectorEngine(compile=compile, planned=plans.append).run
            run(case.task, many, recipe)  # what is measured and compiled once
            ready(device)
            began = time.perf_counter()
            run(case.task, many, recipe)
            taken = (time.perf_counter() - began) / trials / case.steps
            row = f"{1e6 * taken:14.2f}{alone / taken:10.2f}{work / taken / best:13.1%}"
            print(f"{trials:<20}{row}   {plans[-1].size} at a time, {plans[-1].reason}", flush=True)


def waits(device: torch.device) -> str:
    """What makes the hot loop wait for the device between two reports; empty where nothing does."""
    task = digits().to(device)
    curve = SCHEDULES["constant"]().bind(LR, 500)
    training = Training(task, Trial(0, 500, {"lr": curve}), Recipe(OPTIMIZERS["sgd"](lr=LR), device=device))
    training.advance()
    training.advance()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(20):
            training._update()
    except RuntimeError as error:
        return str(error)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return ""


def main() -> int:
    """Print all tables; 0 where `loop` is within its limit and nothing waits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    device = resolve_device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    print(f"{name}; torch {torch.__version__}; TF32 {torch.get_float32_matmul_precision()}\n")
    fine = loops(device, options.quick)
    stacks(device, options.quick)
    if device.type == "cuda":
        found = waits(device)
        print(f"\nthe hot loop waits for the device: {found or 'never'}")
        fine &= not found
    print(f"\n{'PASS' if fine else 'FAIL'}: median ratio of every step at most {LIMIT:.2f}, nothing waits")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
