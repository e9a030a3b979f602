"""What each installed logger costs a training, per update, as a ratio to the same training without one.

The digits MLP (64-128-128-10, batch 64) is trained through the loop engine with each logger and with none, by turns in
one process, at the default interval; losses must be the same. The time is that of the engine's call: from the first
update to the last, with whatever the logger's thread takes from it. Beside it are the ratio of the process's CPU time,
which other programs do not disturb, and what the end takes (the rest that is to be written).

    python tests/benchmarks/logger_cost.py [--steps 4000] [--rounds 7]
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path

from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.trials import Recipe, Trial
from lrtool.experiments.tracking.observer import LoggerObserver
from lrtool.loggers import LOGGERS
from lrtool.loggers.background import Background
from lrtool.loggers.base import Logger
from lrtool.loggers.names import Names
from lrtool.loggers.records import About, Ending
from lrtool.optimizers import KINDS as OPTIMIZERS
from lrtool.schedules import KINDS as SCHEDULES
from lrtool.status import Status
from lrtool.tasks.base import BuildContext, Task
from lrtool.tasks.build import build_task
from lrtool.tasks.datasets import KINDS as DATASETS
from lrtool.tasks.losses import KINDS as LOSSES
from lrtool.tasks.models import KINDS as MODELS

LIMIT = 1.05


def main() -> int:
    """Measure and print; 1 where a logger costs more than the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    logging.getLogger("wandb").setLevel(logging.ERROR)
    loggers = installed()
    task = digits_mlp()
    with tempfile.TemporaryDirectory() as folder:
        times = measured(task, loggers, Path(folder), options.steps, options.rounds)
    plain = times["none"]
    print(
        f"{options.steps} updates, {options.rounds} rounds; none: {best(plain) / options.steps * 1e6:.0f} µs an update"
    )
    worst = 0.0
    for kind in loggers:
        # Rounds are neighbours in time: their ratios say more than the ratio of all.
        ratios, cpu = (
            [with_[at] / without[at] for with_, without in zip(times[kind], plain, strict=True)] for at in (0, 1)
        )
        worst = max(worst, statistics.median(ratios))
        end = statistics.median(each[2] for each in times[kind])
        print(
            f"  {kind:12} {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}),"
            f" CPU {statistics.median(cpu):.3f}, the end {end:.2f} s",
            flush=True,
        )
    return int(worst > LIMIT)


def installed() -> dict[str, Logger]:
    """The loggers whose packages are here, as a config has them by name."""
    found = {}
    for kind, cls in LOGGERS.kinds.items():
        if importlib.util.find_spec(cls.package) is None:
            print(f"  {kind}: not installed, not measured")
            continue
        found[kind] = cls.model_validate({"timeout": 120.0})
        found[kind].load()
    return found


def digits_mlp() -> Task:
    """The task."""
    data, model = DATASETS["digits"](batch_size=64), MODELS["mlp"](hidden=[128, 128])
    return build_task("digits-mlp", model, data, LOSSES["cross_entropy"](), None, BuildContext())


def measured(
    task: Task, loggers: dict[str, Logger], folder: Path, steps: int, rounds: int
) -> dict[str, list[list[float]]]:
    """Seconds of training, of the CPU and of the end, by logger, for each round; which comes first changes."""
    times: dict[str, list[list[float]]] = {"none": [], **{kind: [] for kind in loggers}}
    names, losses = list(times), set()
    train(task, None, folder, min(steps, 500))
    for number in range(rounds):
        for kind in names[number % len(names) :] + names[: number % len(names)]:
            *taken, loss = train(task, loggers.get(kind), folder / "name" / f"{kind}-{number}", steps)
            times[kind].append(taken)
            losses.add(loss)
    assert len(losses) == 1, "a logger changed the training"
    return times


def train(task: Task, logger: Logger | None, folder: Path, steps: int) -> tuple[float, float, float, float]:
    """Seconds of a training, of the CPU, of its logger's end, and the last loss."""
    optimizer = OPTIMIZERS["sgd"](lr=0.05, momentum=0.9)
    curve = SCHEDULES["cosine"].model_validate({}).bind(0.05, steps)
    trial = Trial(0, steps, {"lr": curve}, optimizer.hyperparameters())
    folder.mkdir(parents=True, exist_ok=True)
    told = Background(logger, About(folder, "digits", "train", {}, "")) if logger is not None else None
    observer = LoggerObserver(told, Names(), single=True) if told is not None else None
    began, cpu = time.perf_counter(), time.process_time()
    (trace,) = LoopEngine().run(task, [trial], Recipe(optimizer=optimizer), observer)
    done, used = time.perf_counter(), time.process_time() - cpu
    if told is not None:
        told.close(Ending(Status.FINISHED, {}))
    return done - began, used, time.perf_counter() - done, float(trace.train_loss[-1])


def best(times: list[list[float]]) -> float:
    """The shortest time: the one that other programs disturbed least."""
    return min(each[0] for each in times)


if __name__ == "__main__":
    sys.exit(main())
