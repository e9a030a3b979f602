"""What an update of a whole default `lrtool train` costs, against a hand-written loop that does the same updates.

Each task is trained by the command line as it stands, with metrics, checkpoints, validation, progress and plots, at two
lengths; the difference over the updates between them is what an update costs, and starting up cancels. The plain loop
sets the same LRs, draws the same batches and trains the same model with as many threads; once it trains only, once it
also validates as often. What is judged is lrtool's time without validation's own cost: less what the plain loop's
validation takes. The disk's waiting counts where the clock is used; `--cpu-time` compares processor time, for machines
that do other work meanwhile.

    python tests/benchmarks/default_run.py [--rounds 5] [--cpu-time] [--only digits-mlp]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from lrtool.config.load import load_config
from lrtool.engine.device import intra_threads
from lrtool.engine.loop.threads import worthwhile_threads
from lrtool.experiments.setup import Setup, prepare
from lrtool.tasks.base import seeded_model
from lrtool.tasks.sources import BatchOrder, TensorSource

#: lrtool's time over the plain loop's that is allowed, validation's own cost left out.
LIMIT = 1.15
CONFIGS = Path(__file__).parents[2] / "configs"

OWN_MODEL = """
from torch import nn

class Net(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(20, width), nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, x):
        hidden = self.first(x).relu()
        return self.last(hidden + self.second(hidden).relu())
"""
OWN_DATA = """
import torch

def load():
    x = torch.randn(4000, 20, generator=torch.Generator().manual_seed(0))
    return x, (x[:, :5].sin().sum(1, keepdim=True) + 0.1 * x[:, 5:6])
"""
OWN_CONFIG = """
name: own-code
model: {use: "my_model.py:Net"}
data: {use: "my_data.py:load", batch_size: 32}
loss: mse
optimizer: {kind: adamw, lr: 0.001}
schedule: {kind: cosine, warmup: 5%}
"""


@dataclass(frozen=True)
class Case:
    """A config, and the two lengths that it is trained for, in epochs."""

    config: Path
    short: int
    long: int

    def setup(self, epochs: int) -> Setup:
        """The config, built."""
        return prepare(load_config(self.config, [f"train.duration={epochs}ep"]))


@dataclass(frozen=True)
class Spent:
    """Milliseconds per update, by the clock or of processor time."""

    lrtool: float
    plain: float
    validated: float

    @property
    def whole(self) -> float:
        """lrtool over a plain loop that validates as often."""
        return self.lrtool / self.validated

    @property
    def without(self) -> float:
        """lrtool over the plain loop, both without validation's own cost."""
        return (self.lrtool - (self.validated - self.plain)) / self.plain

    @property
    def gross(self) -> float:
        """lrtool over a plain loop that does not validate."""
        return self.lrtool / self.plain


class Stopwatch:
    """Seconds of this process or of a child: by the clock, or what they computed."""

    def __init__(self, computing: bool) -> None:
        self.computing = computing

    def own(self) -> float:
        """Now, in this process."""
        return time.process_time() if self.computing else time.perf_counter()

    def child(self, command: list[str]) -> float:
        """What a command takes."""
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
        return usage.ru_utime + usage.ru_stime if self.computing else time.perf_counter() - began


def plain(setup: Setup, epochs: int, validate: bool, watch: Stopwatch) -> float:
    """Seconds of the hand-written loop."""
    task, trial = setup.task, setup.trial(setup.config.seed, setup.config.optimizer.lr)
    source, loss_fn = task.train, task.loss
    assert isinstance(source, TensorSource) and loss_fn is not None
    (inputs,), target = source.inputs, source.target
    model = seeded_model(task, trial.seed).train()
    optimizer = setup.config.optimizer.build(model.named_parameters())
    order = BatchOrder(trial.seed, len(target), task.batch_size)
    tables = {name: curve.table().tolist() for name, curve in trial.curves.items()}
    step, began = 0, watch.own()
    for epoch in range(epochs):
        for rows in torch.from_numpy(order.epoch(epoch)):
            for group in optimizer.param_groups:
                for name, table in tables.items():
                    group[name] = table[step]
            optimizer.zero_grad(set_to_none=True)
            loss_fn(model(inputs.index_select(0, rows)), target.index_select(0, rows)).backward()
            optimizer.step()
            step += 1
        if validate:
            validation(setup, model)
    return watch.own() - began


def validation(setup: Setup, model: nn.Module) -> list[float]:
    """Loss and metrics over the validation data, as anybody writes it."""
    task = setup.task
    source, loss_fn = task.val, task.loss
    assert isinstance(source, TensorSource) and loss_fn is not None
    model.eval()
    totals = [0.0] * (1 + len(task.metrics))
    with torch.no_grad():
        for x, y in zip(
            source.inputs[0].split(2 * task.batch_size), source.target.split(2 * task.batch_size), strict=True
        ):
            output = model(x)
            values = [
                loss_fn(output, y),
                *(each.per_sample(output, y).float().mean() for each in task.metrics.values()),
            ]
            totals = [total + len(y) * value.item() for total, value in zip(totals, values, strict=True)]
    model.train()
    return [total / len(source) for total in totals]


def measure(case: Case, watch: Stopwatch, folder: Path, number: int) -> Spent:
    """One round: all of it by turns, in an order that alternates."""
    setup = case.setup(case.long - case.short)
    updates = setup.updates_per_epoch * (case.long - case.short)
    seconds = {}

    def hand_written() -> None:
        epochs = case.long - case.short
        for validate in (False, True):
            seconds[validate] = plain(setup, epochs, validate, watch)

    def command_line() -> None:
        for epochs in (case.short, case.long):
            command = [sys.executable, "-m", "lrtool", "train", str(case.config), "--output", str(folder)]
            seconds[epochs] = watch.child([*command, "--set", f"train.duration={epochs}ep"])

    for part in (hand_written, command_line) if number % 2 else (command_line, hand_written):
        part()
    ours = seconds[case.long] - seconds[case.short]
    return Spent(*(1000 * each / updates for each in (ours, seconds[False], seconds[True])))


def cases(folder: Path, scale: float) -> list[Case]:
    """The shipped configs, and a model and data of one's own."""
    own = folder / "own-code.yaml"
    own.write_text(OWN_CONFIG)
    (folder / "my_model.py").write_text(OWN_MODEL)
    (folder / "my_data.py").write_text(OWN_DATA)
    lengths = [("digits-mlp", CONFIGS / "digits-mlp.yaml", 500), ("digits-cnn", CONFIGS / "digits-cnn.yaml", 80)]
    lengths.append(("own-code", own, 120))
    return [Case(path, 10, 10 + max(1, round(scale * epochs))) for _, path, epochs in lengths]


def report(case: Case, watch: Stopwatch, folder: Path, rounds: int) -> float:
    """Print a task; gives the median ratio without validation's own cost."""
    setup = case.setup(1)
    threads = worthwhile_threads(setup.task, seeded_model(setup.task, 0), torch.device("cpu"))
    with intra_threads(threads):
        plain(setup, 1, True, watch)
        found = [measure(case, watch, folder, number) for number in range(rounds)]
    ratios = sorted(each.without for each in found)
    names = ("lrtool", "plain", "validated", "gross", "whole")
    ours, trained, validated, gross, whole = (
        statistics.median(getattr(each, name) for each in found) for name in names
    )
    print(
        f"{case.config.stem:14}{threads:8}{ours:10.4f}{trained:10.4f}{validated:12.4f}{gross:10.3f}{whole:12.3f}"
        f"{statistics.median(ratios):12.3f}   ({ratios[0]:.3f} to {ratios[-1]:.3f})",
        flush=True,
    )
    return statistics.median(ratios)


def main() -> int:
    """Print the table; 0 if every task keeps within the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="how long the longer runs are")
    parser.add_argument("--only", help="the name of one config")
    parser.add_argument("--cpu-time", action="store_true", help="processor time instead of the clock")
    options = parser.parse_args()
    watch = Stopwatch(options.cpu_time)
    print(f"ms per update; {'processor time' if options.cpu_time else 'clock'}; medians of {options.rounds} rounds")
    print(f"{'':14}{'threads':>8}{'lrtool':>10}{'plain':>10}{'and val':>12}", end="")
    print(f"{'/ plain':>10}{'/ and val':>12}{'without val':>12}")
    with tempfile.TemporaryDirectory() as folder:
        chosen = [case for case in cases(Path(folder), options.scale) if options.only in (None, case.config.stem)]
        worst = max(report(case, watch, Path(folder), options.rounds) for case in chosen)
    verdict = "PASS" if worst <= LIMIT else "FAIL"
    print(f"{verdict}: at most {worst:.3f} without validation's own cost, limit {LIMIT:.2f}")
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
