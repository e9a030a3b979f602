"""What theory says of schedules, against trainings: each schedule at its own best LR, judged by paired seeds.

Of each task: the last-iterate bound Ω* of every schedule, and the final validation loss that it leads to at its best LR
(a grid of factors of 2, then of √2, with 3 seeds; then judged with fresh seeds), and the rank correlation of the two.
Beside the usual schedules there are the refined one (`theory refine`, of the gradient norms of runs under linear decay)
and the one that the fitted law holds best (`theory predict --optimize`, of runs under constant, cosine and WSD), each
against linear and cosine, by the paired difference over the seeds. And the ratio of two schedules' best LRs, as the
bound foretells it and as it was found.

    python tests/benchmarks/bound_against_measurement.py [--tasks A,B] [--seeds N]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from support.regret_tasks import HELD_OUT, TASKS, UNSEEN
from support.regret_truth import setup_of

from lrtool.analysis.statistics.comparison import difference
from lrtool.engine.trials import Trace
from lrtool.engine.vector.engine import VectorEngine
from lrtool.errors import UsageError
from lrtool.experiments.final import final_loss
from lrtool.experiments.setup import Setup
from lrtool.schedules import KINDS, Curve
from lrtool.theory.bound import last_iterate_bound
from lrtool.theory.laws.best_schedule import best_rates
from lrtool.theory.laws.choice import choose_law
from lrtool.theory.loss_curve import LossCurve
from lrtool.theory.refine import refined_schedule

Array = NDArray[np.float64]

ALL = {**TASKS, **HELD_OUT, **UNSEEN}
CHOSEN = ("digits-mlp-sgd", "digits-mlp-adamw", "badly-scaled-sgd", "spirals-adamw")
USUAL = ("constant", "linear", "cosine", "wsd", "inverse_sqrt")
REFINED, OPTIMISED = "refined", "optimised"
#: LRs of the first look, in octaves around the config's, and seeds that choose between LRs.
OCTAVES, CHOOSERS = np.arange(-5.0, 6.0), 3
#: Far from the seeds that chose.
FIRST_SEED = 5_000


@dataclass(frozen=True)
class Measured:
    """One schedule of one task: its shape, the LR that was best, and each fresh seed's final loss there."""

    shape: Array
    lr: float
    losses: Mapping[int, float]

    @property
    def mean(self) -> float:
        """The mean final loss."""
        return float(np.mean([*self.losses.values()]))


class Bench:
    """Trainings of one task under any shape."""

    def __init__(self, name: str, seeds: int) -> None:
        self.setup: Setup = setup_of(ALL[name], "constant")
        self.seeds = range(FIRST_SEED, FIRST_SEED + seeds)

    def shape(self, kind: str) -> Array:
        """A kind of schedule as parts of its peak, (T,)."""
        return KINDS[kind]().bind(lr=1.0, steps=self.setup.steps).table()

    def trained(self, shape: Array, lrs: Sequence[float], seeds: Sequence[int], norms: bool = False) -> list[Trace]:
        """Train every LR with every seed."""
        trials = [self.setup.following({"lr": _curve(shape, lr)}, seed) for lr in lrs for seed in seeds]
        recipe = replace(self.setup.recipe, record_grad_norm=norms)
        return VectorEngine(slots=64, compile=False).run(self.setup.task, trials, recipe)

    def measured(self, shape: Array) -> Measured:
        """The shape at its own best LR."""
        centre = self.setup.config.optimizer.lr
        known: dict[float, float] = {}
        for octaves in (OCTAVES, np.array([-0.5, 0.5])):
            lrs = [float(centre * 2**octave) for octave in octaves]
            traces = self.trained(shape, lrs, range(CHOOSERS))
            losses = np.array([final_loss(trace) for trace in traces]).reshape(len(lrs), CHOOSERS)
            known |= dict(zip(lrs, np.where(np.isfinite(losses), losses, np.inf).mean(axis=1).tolist(), strict=True))
            centre = min(known, key=lambda lr: known[lr])
        traces = self.trained(shape, [centre], self.seeds)
        return Measured(shape, centre, {trace.trial.seed: final_loss(trace) for trace in traces})


def _curve(shape: Array, lr: float) -> Curve:
    return Curve(lambda t: lr * shape[np.minimum(t.astype(np.int64), len(shape) - 1)], len(shape), lr)


def refined(bench: Bench, linear: Measured) -> Array:
    """The refined schedule of the gradient norms that linear decay has at its best LR, a mean over seeds."""
    power, column = (2.0, "grad_norm") if bench.setup.config.optimizer.refined_by == "l2" else (1.0, "grad_norm_l1")
    traces = bench.trained(linear.shape, [linear.lr], range(CHOOSERS), norms=True)
    return refined_schedule(np.mean([trace.recorded[column] for trace in traces], axis=0), power)


def optimised(bench: Bench, peak: float) -> Array:
    """The schedule that the law, fitted to three runs with this peak, holds best."""
    curves = []
    for kind in ("constant", "cosine", "wsd"):
        shape = bench.shape(kind)
        traces = bench.trained(shape, [peak], range(CHOOSERS))
        losses = np.mean([trace.train_loss for trace in traces], axis=0)
        # The loss of an update is that of the weights before it.
        curves.append(LossCurve(kind, peak * shape, np.arange(len(shape)), losses))
    return best_rates(choose_law(curves).fit, bench.setup.steps, 0, peak) / peak


def of_task(name: str, seeds: int) -> tuple[float, list[str]]:
    """Print a task's tables; its rank correlation, and the comparisons in words."""
    bench = Bench(name, seeds)
    found = {kind: bench.measured(bench.shape(kind)) for kind in USUAL}
    found[REFINED] = bench.measured(refined(bench, found["linear"]))
    try:
        shape = optimised(bench, found["cosine"].lr)
        found[OPTIMISED] = bench.measured(shape / shape.max())
    except UsageError as error:
        print(f"{name}: no law: {error}")
    bounds = {kind: last_iterate_bound(each.shape) for kind, each in found.items()}
    print(f"\n{name}\n{'schedule':<14}{'bound Ω*':>10}{'best LR':>10}{'ratio':>8}{'foretold':>10}{'final loss':>12}")
    for kind in sorted(found, key=lambda kind: found[kind].mean):
        each, first = found[kind], "cosine"
        ratio, foretold = each.lr / found[first].lr, bounds[kind].gamma / bounds[first].gamma
        row = f"{bounds[kind].omega:>10.5f}{each.lr:>10.3g}{ratio:>8.2f}{foretold:>10.2f}{each.mean:>12.5f}"
        print(f"{kind:<14}{row}")
    usual = [kind for kind in USUAL if np.isfinite(found[kind].mean)]
    correlation = float(spearmanr([bounds[k].omega for k in usual], [found[k].mean for k in usual]).statistic)
    print(f"rank correlation of bound and loss over {len(usual)} schedules: {correlation:+.2f}")
    return correlation, [line for kind in (REFINED, OPTIMISED) if kind in found for line in compared(kind, found)]


def compared(kind: str, found: Mapping[str, Measured]) -> list[str]:
    """A schedule against linear and cosine, by paired seeds."""
    lines = []
    for other in ("linear", "cosine"):
        behind = difference(kind, found[kind].losses, other, found[other].losses)
        low, high = behind.estimate.interval or (float("nan"), float("nan"))
        part = behind.estimate.mean / found[other].mean
        verdict = "cannot tell" if not behind.significant else "worse" if part > 0 else "better"
        said = f"{part:+.1%} ({low:+.2g} … {high:+.2g}, {behind.estimate.count} seeds): {verdict}"
        lines.append(f"{kind} against {other}: {said}")
        print(lines[-1])
    return lines


def main() -> int:
    """Print the tables; it is reported, not judged."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default=",".join(CHOSEN), help="comma-separated names")
    parser.add_argument("--seeds", type=int, default=20, help="fresh seeds that judge")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = [of_task(name, arguments.seeds) for name in arguments.tasks.split(",")]
    print(f"\nmean rank correlation {np.mean([each for each, _ in found]):+.2f} over {len(found)} tasks")
    for kind in (REFINED, OPTIMISED):
        lines = [line for _, said in found for line in said if line.startswith(kind)]
        counts = {word: sum(line.endswith(word) for line in lines) for word in ("better", "worse", "cannot tell")}
        print(f"{kind}: " + ", ".join(f"{word} {count}" for word, count in counts.items()) + f" of {len(lines)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
