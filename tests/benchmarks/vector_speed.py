"""Many trials as one stack against a hand-written loop, alternately in one process.

Prints, per trial and update, the hand-written loop's time (at its best number of threads) over the vector
engine's: without what planning (calibration, tracing, compiling) took, which is printed, and with it. Nothing is known
when a case begins: what was measured or compiled before is kept out of reach. Only what torch does once per
installation, when anything is compiled for the first time, is done before and printed by itself. Then how the
time grows with the number of trials, and the part of the machine's matrix-multiply peak that is reached.
`--cpu-time` compares processor time instead of the clock, for machines that do other work meanwhile.

    python tests/benchmarks/vector_speed.py [--steps 2000] [--trials 64] [--rounds 3] [--quick] [--cpu-time]
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from lrtool.engine.trials import Recipe, Trial
from lrtool.engine.vector.engine import VectorEngine
from lrtool.engine.vector.plan import Plan
from lrtool.optimizers import KINDS as OPTIMIZERS
from lrtool.optimizers import Optimizer
from lrtool.schedules import KINDS as SCHEDULES
from lrtool.tasks.base import BuildContext, Task, seeded_model
from lrtool.tasks.build import build_task
from lrtool.tasks.datasets import KINDS as DATASETS
from lrtool.tasks.losses import KINDS as LOSSES
from lrtool.tasks.models import KINDS as MODELS
from lrtool.tasks.sources import BatchOrder, TensorSource

#: The loop's time over ours that is wanted: planning left out, and counted.
LIMIT, LIMIT_WITH_PLANNING = 8.0, 4.0


@dataclass(frozen=True)
class Case:
    """A model on a data set under an optimizer; `share` of the steps asked for, as some are slow."""

    name: str
    model: dict[str, object]
    data: dict[str, object]
    optimizer: Optimizer
    share: float = 1.0

    def task(self) -> Task:
        """Without validation: training steps are what is compared."""
        model, data = dict(self.model), dict(self.data)
        made = MODELS[str(model.pop("kind"))](**model), DATASETS[str(data.pop("kind"))](**data)
        task = build_task(self.name, *made, LOSSES["cross_entropy"](), None, BuildContext())
        return dataclasses.replace(task, val=None)


DIGITS: dict[str, object] = {"kind": "digits", "batch_size": 64}
MLP: dict[str, object] = {"kind": "mlp", "hidden": [128, 128]}
SGD = OPTIMIZERS["sgd"](lr=0.05, momentum=0.9)
ADAMW = OPTIMIZERS["adamw"](lr=0.002)
CASES = [
    Case("digits MLP, SGD", MLP, DIGITS, SGD),
    Case("digits MLP, AdamW", MLP, DIGITS, ADAMW),
    Case("digits CNN, SGD", {"kind": "cnn", "channels": [16, 32]}, DIGITS, SGD, 0.1),
    Case(
        "text transformer, AdamW",
        {"kind": "transformer", "width": 32, "depth": 2, "heads": 4},
        {"kind": "text", "context": 32, "batch_size": 16},
        ADAMW,
        0.1,
    ),
]


def plain(task: Task, optimizer: Optimizer, steps: int, clock: Callable[[], float]) -> float:
    """Seconds per update of a hand-written loop over the same tensors."""
    assert isinstance(task.train, TensorSource) and task.loss is not None
    (inputs,), target, loss_fn = task.train.inputs, task.train.target, task.loss
    model = seeded_model(task, 0)
    made = optimizer.build(model.named_parameters())
    order = BatchOrder(0, len(target), task.batch_size)
    epochs = range(steps // order.per_epoch + 1)
    batches = [rows for epoch in epochs for rows in torch.from_numpy(order.epoch(epoch))][:steps]
    began = clock()
    for rows in batches:
        made.zero_grad(set_to_none=True)
        loss = loss_fn(model(inputs.index_select(0, rows)), target.index_select(0, rows))
        loss.backward()
        made.step()
    return (clock() - began) / steps


def hand_written(task: Task, optimizer: Optimizer, clock: Callable[[], float]) -> float:
    """Seconds per update of the loop with one torch thread or with all, whichever is faster.

    The two are alike on an idle machine; on a busy one the threads of one operator wait for each other.
    """
    threads, best = torch.get_num_threads(), float("inf")
    for count in (1, threads):
        torch.set_num_threads(count)
        best = min(best, plain(task, optimizer, 200, clock))
    return best


#: Compiles a trivial update as lrtool compiles any.
_COMPILE = """
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from lrtool.engine.vector.compiling import Graph, compiled

example = [torch.ones(8)]
compiled(Graph(make_fx(lambda x: (x.add_(1), x * 2))(torch.ones(8)), example, 8, 1))
"""


def preparation(folder: str) -> float:
    """Keep every cache in a new folder, and let torch prepare its compiler there.

    Gives the seconds that it takes once per installation: those of a first compile beyond those of a second.
    """
    tempfile.tempdir = os.environ["TMPDIR"] = folder
    os.environ["XDG_CACHE_HOME"] = f"{folder}/measured"
    taken = []
    for name in ("first", "second"):
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{folder}/{name}"
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", _COMPILE], check=True, capture_output=True)
        taken.append(time.perf_counter() - began)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{folder}/own"
    return taken[0] - taken[1]


def processor_time() -> float:
    """Seconds that this process and its ended children have computed."""
    return sum(os.times()[:4])


class Timer:
    """Times a call of the engine from the moment that its plan is made."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock, self.reason = clock, ""
        self.began = self.planned = clock()

    def plan_made(self, plan: Plan) -> None:
        """The engine made its plan."""
        self.planned, self.reason = self.clock(), plan.reason


def stacked(task: Task, optimizer: Optimizer, count: int, steps: int, clock: Callable[[], float]) -> Timer:
    """Train so many trials; the timer's `planning` and `training` seconds."""
    schedule = SCHEDULES["constant"]()
    trials = [Trial(n % 5, steps, {"lr": schedule.bind(optimizer.lr * (0.5 + n / count), steps)}) for n in range(count)]
    timer = Timer(clock)
    VectorEngine(planned=timer.plan_made).run(task, trials, Recipe(optimizer, stop_on_divergence=True))
    return timer


@dataclass(frozen=True)
class Ratios:
    """The loop's time over ours: the median without planning, the first round's with it, and with `once` more."""

    without: float
    including: float
    very_first: float


def compare(case: Case, count: int, steps: int, rounds: int, clock: Callable[[], float], once: float = 0.0) -> Ratios:
    """Print a case. `once`: seconds that only the first compile on a machine takes."""
    task, steps = case.task(), max(100, int(case.share * steps))
    plain(task, case.optimizer, 50, clock)
    without, including, very_first = [], [], []
    for number in range(rounds):
        loop = hand_written(task, case.optimizer, clock)
        timer = stacked(task, case.optimizer, count, steps, clock)
        end, updates = clock(), count * steps
        # The loop is timed on both sides, so that a drift of the machine's speed favours neither.
        loop = (loop + hand_written(task, case.optimizer, clock)) / 2
        ours = (end - timer.planned) / updates
        without.append(loop / ours)
        including.append(loop * updates / (end - timer.began))
        very_first.append(loop * updates / (end - timer.began + once))
        print(
            f"{case.name:26}{count:6}{steps:7}{1000 * loop:10.4f}{1000 * ours:10.4f}{without[-1]:8.2f}"
            f"{timer.planned - timer.began:10.1f}{including[-1]:8.2f}  {timer.reason if number == 0 else ''}",
            flush=True,
        )
    return Ratios(statistics.median(without), including[0], very_first[0])


def matmul_peak() -> float:
    """Floating-point operations per second of a large matrix product on all threads: the best of several."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    best = 1e9
    for _ in range(8):
        began = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - began)
    return 2 * 1024**3 / best


def mlp_operations(batch: int = 64, widths: tuple[int, ...] = (64, 128, 128, 10)) -> int:
    """Multiply-adds (times 2) of one update of the digits MLP: forward, weight gradients, input gradients."""
    layers = [a * b for a, b in itertools.pairwise(widths)]
    return 2 * batch * (2 * sum(layers) + sum(layers[1:]))


def growth(case: Case, most: int, clock: Callable[[], float]) -> None:
    """Print the time per trial and update from 1 trial on."""
    print("\nTime per trial and update by the number of trials (digits MLP, SGD), planning left out:")
    count = 1
    while count <= most:
        steps = max(60, min(400, 24_000 // count))
        timer = stacked(case.task(), case.optimizer, count, steps, clock)
        spent = (clock() - timer.planned) / (count * steps)
        print(f"{count:6} trials {1000 * spent:10.4f} ms  {timer.reason}", flush=True)
        count *= 4


def main() -> int:
    """Print the table; 0 if the first case keeps both limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="only the digits MLP under SGD")
    parser.add_argument("--cpu-time", action="store_true", help="processor time instead of the clock")
    options = parser.parse_args()
    clock = processor_time if options.cpu_time else time.perf_counter
    with tempfile.TemporaryDirectory() as folder:
        return report(options, clock, preparation(folder))


def report(options: argparse.Namespace, clock: Callable[[], float], prepared: float) -> int:
    """Print the table; 0 if the first case keeps both limits."""
    print(f"{torch.get_num_threads()} threads; {'processor time' if options.cpu_time else 'wall clock'}")
    print(f"torch's preparation of the compiler, once per installation and not counted below: {prepared:.1f} s")
    heads = f"{'':26}{'trials':>6}{'steps':>7}{'loop ms':>10}{'ours ms':>10}{'ratio':>8}{'planning':>10}{'with':>8}"
    print(heads)
    first = compare(CASES[0], options.trials, options.steps, options.rounds, clock, prepared)
    if not options.quick:
        for case in CASES[1:]:
            compare(case, options.trials, options.steps, 1, clock)
        growth(CASES[0], 1024, clock)
    peak = matmul_peak()
    timer = stacked(CASES[0].task(), SGD, options.trials, 300, time.perf_counter)
    reached = mlp_operations() * options.trials * 300 / (time.perf_counter() - timer.planned)
    print(f"\nMatrix-multiply peak {peak / 1e9:.0f} GFLOP/s; the stack reaches {reached / peak:.0%} of it.")
    passed = first.without >= LIMIT and first.including >= LIMIT_WITH_PLANNING
    print(
        f"{'PASS' if passed else 'FAIL'}: {first.without:.2f} (wanted {LIMIT:g}), with planning {first.including:.2f}"
        f" (wanted {LIMIT_WITH_PLANNING:g}); the very first time on a machine {first.very_first:.2f}"
    )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
