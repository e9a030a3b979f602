"""How far the critical LR, which needs next to no training, foretells what trainings show at many LRs.

Of every task whose truth is kept (folder truth beside this file): the critical LR that `range-test` shows, against the
stability limit, the largest constant LR up to which trainings neither diverge nor end above their start, and against
the best peak LR under each schedule. The limit is not the critical LR itself: optimizers that divide by the gradient's
size recover from rises, momentum adds up. So it is also compared after a factor of its own for each of both kinds of
optimizer (`refined_by`), the median over half of the tasks, judged on the other half.

The cost, in updates (a forward pass is a third of one), is that of the trainings by which `range-test` measures the
limit: 10 LRs, 3 seeds, 200 updates each.

    python tests/benchmarks/critical_lr.py [--repeats N] [--tasks A,B]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from support.regret_tasks import HELD_OUT, NOISY, TASKS, UNSEEN
from support.regret_truth import Truth, setup_of, stored

from lrtool.analysis.search.critical_lr import CriticalLr
from lrtool.config.schema import Config
from lrtool.experiments.prior.critical import critical_lr

ALL = {**TASKS, **HELD_OUT, **UNSEEN, **NOISY}
SCHEDULES = ("constant", "cosine")
#: Within this factor of the limit, in this part of the tasks, at this part of the cost.
CLOSE, OFTEN, CHEAP = 1.5, 0.8, 0.05
TRAININGS = 10 * 3 * 200
SEED_STEP = 100


@dataclass(frozen=True)
class Case:
    """One task and seed: what was found, and what is known."""

    config: Config
    found: CriticalLr
    truths: dict[str, Truth]

    @property
    def critical(self) -> float:
        """The critical LR; NaN where none was found."""
        return self.found.estimate.value if self.found.estimate is not None else float("nan")

    @property
    def limit(self) -> float | None:
        """The stability limit that trainings show; None where it lies outside the grid."""
        return self.truths["constant"].limit

    @property
    def cost(self) -> float:
        """In updates."""
        return self.found.updates + self.found.passes / 3

    @property
    def off(self) -> float:
        """log₂ of limit/critical."""
        assert self.limit is not None
        return float(np.log2(self.limit / self.critical))


def cases(names: Sequence[str], repeats: int) -> list[Case]:
    """Measure every task whose truth is kept."""
    measured = []
    for name in names:
        known = {schedule: stored(ALL[name], schedule) for schedule in SCHEDULES}
        truths = {schedule: truth for schedule, truth in known.items() if truth is not None}
        if "constant" not in truths:
            continue
        for repeat in range(repeats):
            found = critical_lr(setup_of(ALL[name], "constant", SEED_STEP * repeat))
            assert found is not None, name
            measured.append(Case(ALL[name], found, truths))
    return measured


def print_cases(measured: Sequence[Case]) -> None:
    """A line for each case."""
    print(f"{'task':<25}{'kind':<6}{'critical LR':>12}{'(90% of updates)':>22}{'limit':>9}{'limit/crit.':>12}", end="")
    print("".join(f"{'best/crit. ' + schedule:>21}" for schedule in SCHEDULES) + f"{'updates':>9}")
    for case in measured:
        estimate = case.found.estimate
        ends = f"({estimate.low:.2g} … {estimate.high:.2g})" if estimate is not None else ""
        limit = f"{case.limit:>9.2g}{case.limit / case.critical:>12.2f}" if case.limit else f"{'—':>9}{'':>12}"
        best = [case.truths.get(schedule) for schedule in SCHEDULES]
        parts = [f"{best_lr(each) / case.critical:>21.3f}" if each is not None else f"{'—':>21}" for each in best]
        kind = case.config.optimizer.refined_by
        print(
            f"{case.config.name:<25}{kind:<6}{case.critical:>12.3g}{ends:>22}{limit}{''.join(parts)}{case.cost:>9.0f}"
        )


def best_lr(truth: Truth) -> float:
    """The LR with the least expected loss."""
    return float(truth.lr[int(np.argmin(truth.mean))])


def factors(chosen: Sequence[Case]) -> dict[str, float]:
    """log₂ of the median limit/critical for each kind of optimizer."""
    kinds = {case.config.optimizer.refined_by for case in chosen}
    return {
        kind: float(np.median([case.off for case in chosen if case.config.optimizer.refined_by == kind]))
        for kind in kinds
    }


def judged(measured: Sequence[Case]) -> dict[str, list[float]]:
    """How far off the limit is, in octaves: as it is, and with factors of the other half, the halves in turn."""
    names = list(dict.fromkeys(case.config.name for case in measured))
    halves = [[case for case in measured if names.index(case.config.name) % 2 == half] for half in (0, 1)]
    found: dict[str, list[float]] = {"as it is": [case.off for case in measured]}
    for chosen, rest, which in (
        (*halves, "second half, factors of the first"),
        (*halves[::-1], "first, of the second"),
    ):
        known = factors(chosen)
        found[which] = [case.off - known.get(case.config.optimizer.refined_by, 0.0) for case in rest]
    return found


def print_verdict(measured: Sequence[Case]) -> bool:
    """How often it is close enough; whether that is often enough."""
    limited = [case for case in measured if case.limit is not None and np.isfinite(case.critical)]
    print(f"\nstability limit, {len(limited)} tasks and seeds in which trainings show one")
    close = 0.0
    for which, offs in judged(limited).items():
        within = [float(np.mean(np.abs(offs) <= np.log2(factor) + 1e-9)) for factor in (CLOSE, 2.0, 4.0)]
        close = within[0] if which.startswith("second") else close
        print(f"  {which:<36} within ×1.5 {within[0]:.0%}, ×2 {within[1]:.0%}, ×4 {within[2]:.0%} of {len(offs)}")
    known = ", ".join(f"{kind}: ×{2**value:.2f}" for kind, value in sorted(factors(limited).items()))
    print(f"  factors over all: {known}")
    ratios = np.array([best_lr(truth) / case.critical for case in measured for truth in case.truths.values()])
    for times in (1, 2):
        print(f"best peak LR at most {times}× the critical LR: {np.mean(ratios <= times):.0%} of {len(ratios)}")
    cost = max(case.cost for case in measured) / TRAININGS
    print(f"{'PASS' if cost <= CHEAP else 'FAIL'}: cost at most {cost:.1%} of the trainings' (target {CHEAP:.0%})")
    print(f"{'PASS' if close >= OFTEN else 'FAIL'}: within ×{CLOSE} in {close:.0%} (target {OFTEN:.0%})")
    return cost <= CHEAP and close >= OFTEN


def main() -> int:
    """Print the tables; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", help="comma-separated names")
    parser.add_argument("--repeats", type=int, default=2, help="how often it is measured, with other seeds")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    measured = cases(arguments.tasks.split(",") if arguments.tasks else list(ALL), arguments.repeats)
    print_cases(measured)
    return 0 if print_verdict(measured) else 1


if __name__ == "__main__":
    sys.exit(main())
