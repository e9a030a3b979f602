"""Several processes against one: the same loss curve, and the same LR from a range test.

    python tests/benchmarks/data_parallel.py [--updates 500] [--models mlp cnn]

Prints, for copies (DDP) of 2 and 4 processes and for shards (FSDP2) of 2, by how much the training loss differs from
that of one process, at most over all updates: as a part of the loss there, as a part of the loss at the start, and both
of these again with everything in double precision. Beside it stands what rounding alone makes of one process: the same
training whose batches have their samples in reverse. And the LR that a range test suggests when every trial of it is
trained by 1, 2 and 4 processes together.

Wanted: differences below 1e-5, or no larger than a few times that of the reversed batches, and below 1e-9 in double
precision, which no mistake would become smaller by; LRs within 5%. Processes talk over gloo, on the CPU; it takes some
minutes.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

# DDP warns that unused parameters are looked for.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

import numpy as np

from lrtool.config.load import load_config
from lrtool.engine.loop.engine import LoopEngine
from lrtool.engine.parallel.ranks import ALONE, Ranks
from lrtool.engine.trials import Array, EngineName
from lrtool.experiments.engines import Engines
from lrtool.experiments.observers import Observers
from lrtool.experiments.parallel.conducting import Farewell, conducted, dismiss, follow
from lrtool.experiments.range_test.range_test import run_range_test
from lrtool.experiments.setup import Setup, prepare
from lrtool.tasks.sources import TensorSource

CONFIG = """\
device: cpu
model: {kind: KIND}
data: {kind: digits, batch_size: 62, val_fraction: 0.2, drop_last: false}
optimizer: {kind: sgd, lr: 0.05, momentum: 0.9}
schedule: {kind: cosine, warmup: 5%}
train: {duration: UPDATES, clip_norm: 1.0}
range_test: {seeds: 2}
"""
#: Nothing takes longer than this.
LIMIT = 900


def setup(folder: Path, kind: str, updates: int) -> Setup:
    path = folder / "config.yaml"
    path.write_text(CONFIG.replace("KIND", kind).replace("UPDATES", str(updates)))
    return prepare(load_config(path))


class Together(Engines):
    """Every trial is trained by all processes, also where one would be sooner."""

    def __init__(self) -> None:
        super().__init__(EngineName.LOOP)

    def _with_others(self, choice: Any, *_: Any) -> Any:
        return conducted(choice.engine)


class Reversed:
    """A source whose batches are in reverse order."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def __len__(self) -> int:
        return len(self._source)

    def take(self, index: Any) -> Any:
        return self._source.take(index.flip(0))

    def to(self, device: Any) -> Any:
        return Reversed(self._source.to(device))


def reversed_batches(built: Setup) -> Setup:
    """The same training, whose sums are made in another order."""
    return replace(built, task=replace(built.task, train=Reversed(built.task.train)))


def doubled(built: Setup) -> Setup:
    """The same training in double precision."""
    source, make = built.task.train, built.task.new_model
    assert isinstance(source, TensorSource)
    train = TensorSource(tuple(each.double() for each in source.inputs), source.target)
    return replace(built, task=replace(built.task, new_model=lambda: make().double(), train=train))


def differences(found: Array, alone: Array) -> tuple[float, float]:
    """The largest of the differences: as parts of the loss there, and of that of the first update."""
    apart = np.abs(found - alone)
    return float((apart / alone).max()), float(apart.max() / alone[0])


def written(found: tuple[float, float]) -> str:
    """Two parts, for people."""
    return f"{found[0]:.1e} of the loss, {found[1]:.1e} of that at the start"


def curve(ranks: Ranks, built: Setup) -> Array:
    """The training loss of every update."""
    trial = built.trial(0, built.config.optimizer.lr)
    (trace,) = LoopEngine(ranks=ranks).run(replace(built.task, val=None), [trial], built.recipe)
    return trace.train_loss


def suggested(ranks: Ranks, built: Setup, folder: Path) -> float | None:
    """The LR that a range test suggests whose trials these processes train together."""
    if ranks.rank:
        follow(ranks, built)
        return None
    _, found = run_range_test(built, folder, lambda *_: Observers(), Together(), budget=4.0)
    if not ranks.alone:
        dismiss(ranks, Farewell())
    return None if found.suggestion is None else found.suggestion.value


def compare(kind: str, updates: int) -> None:
    """Print how far the curves of several processes are from that of one."""
    with tempfile.TemporaryDirectory() as name:
        built = setup(Path(name), kind, updates)
    for each, precision in ((built, "single"), (doubled(built), "double")):
        alone = curve(ALONE, each)
        turned = differences(curve(ALONE, reversed_batches(each)), alone)
        print(f"{kind}, {precision} precision, {updates} updates, loss {alone[0]:.3g} to {alone[-1]:.2g}")
        print(f"  one process, batches reversed   {written(turned)}", flush=True)
        for sharded, size in ((False, 2), (False, 4), (True, 2)):
            found = differences(trained(each, size, sharded), alone)
            what = f"{'FSDP2' if sharded else 'DDP'}, {size} processes"
            print(f"  {what:30}  {written(found)}", flush=True)


def trained(built: Setup, size: int, sharded: bool) -> Array:
    """The curve of several processes."""
    from tests.engine.parallel.processes import together

    def work(ranks: Ranks) -> Array:
        ranks.sharded = sharded
        return curve(ranks, built)

    with tempfile.TemporaryDirectory() as name:
        found = together(Path(name), size, work, LIMIT)[0]
    if not isinstance(found, np.ndarray):
        raise SystemExit(f"the processes failed: {found}")
    return found


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.engine.parallel.processes import together

    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--updates", type=int, default=500)
    arguments.add_argument("--models", nargs="+", default=["mlp", "cnn"])
    asked = arguments.parse_args()
    for kind in asked.models:
        compare(kind, asked.updates)
    lrs = {}
    for size in (1, 2, 4):
        with tempfile.TemporaryDirectory() as name:
            built = setup(Path(name), "mlp", 150)
            test = lambda ranks, built=built, name=name: suggested(ranks, built, Path(name))  # noqa: E731
            lrs[size] = test(ALONE) if size == 1 else together(Path(name), size, test, LIMIT)[0]
            print(f"range-test by {size} processes together: suggested LR {lrs[size]:.5g} ({lrs[size] / lrs[1]:.4f})")


if __name__ == "__main__":
    main()
