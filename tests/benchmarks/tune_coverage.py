"""How often `tune`'s 95% interval holds an LR that is as good as the best, how wide it is, and what its LR costs.

Simulated: responses of made-up shapes (`response_shapes`), on grids of 5 to 13 LRs a factor 1.5 or 2 apart, with 1 to 8
seeds, an offset common to all LRs of a seed, noise of 0.5–10% and a few trials that are stuck. Real: the losses of the
regret benchmark's trainings (`real_responses`), of which some seeds measure and the others judge; only tasks whose
trainings are in its cache, which `suggestion_regret.py` fills.

*hit*: the interval holds an LR whose expected loss is within 1% of the best of all. *best*: it holds the best one,
which says little where many are alike. *width*: the interval's upper end over its lower one, median. *excess*: the
expected loss at the LR that was chosen, over the best. *expected*: the loss that was announced, over what the LR leads
to, given the seeds at hand, mean.

Wanted are hits in at least 93% (a line fails below that by two standard errors) and an announced loss that is within 2%
on average. 93–98% can be meant only where what is as good as the best is narrow beside the LRs that were tried: next to
a cliff or a kink. An interval is never finer than half the distance to the LRs beside the chosen one; where the loss is
within 1% of the best for longer than that, on floors, flats and most bowls, any sound interval hits in all cases.

The truth of real tasks is the mean of 4 to 7 seeds, and where seeds differ much, the best of some twenty such means is
anywhere. *raw* are the hits all the same. *hit* leaves out the measurements that nobody could have been judged by:
where an interval as wide as the one to be judged, but around the best LR of all eight seeds, the judging ones included,
is no hit either. What is announced is not judged, for the judging seeds are others.

To compare with another version: PYTHONPATH=ITS_FOLDER python tests/benchmarks/tune_coverage.py

    python tests/benchmarks/tune_coverage.py [--repeats N] [--shapes A,B | --real]
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from support.real_responses import Replay, replays
from support.response_shapes import SHAPES, TRUE_LR, Sample, drawn

from lrtool.analysis.lr_fit import Response, fit_response

Array = NDArray[np.float64]

SEEDS = (1, 2, 3, 4, 6, 8)
AS_GOOD, WANTED, MOST_BIAS = 0.01, 0.93, 0.02
FINE = 2001


@dataclass
class Tally:
    """What was seen of one kind of response; lists run over repeats."""

    asked: int = 0
    #: Of those that can be judged.
    hit: list[bool] = field(default_factory=list)
    raw: list[bool] = field(default_factory=list)
    best: list[bool] = field(default_factory=list)
    width: list[float] = field(default_factory=list)
    excess: list[float] = field(default_factory=list)
    announced: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, found: Response, x: Array, log_loss: Array, level: float = 0.0) -> bool:
        """Judge an answer by the true log losses at ascending log LRs; `level`: what the seeds at hand add to them."""
        assert found.lr is not None and found.interval is not None and found.expected is not None
        least, at = log_loss.min(), float(np.interp(math.log(found.lr), x, log_loss))
        inside = within(found, x)
        hit = bool((log_loss[inside] <= least + math.log1p(AS_GOOD)).any())
        self.raw.append(hit)
        self.best.append(bool(inside[log_loss.argmin()]))
        self.width.append(float(np.ptp(x[inside])) if inside.any() else 0.0)
        self.excess.append(math.expm1(at - least))
        self.announced.append(math.log(found.expected) - level - at)
        return hit

    def line(self, name: str, announced: bool = True) -> bool:
        """Print the figures; whether hits and, if so wished, what was `announced` are as wanted."""
        share, count = float(np.mean(self.hit)), len(self.raw)
        error = math.sqrt(share * (1 - share) / len(self.hit))
        excess, bias = 100 * np.array(self.excess), float(np.mean(self.announced))
        enough = share >= WANTED - 2 * error
        sound = not announced or abs(bias) <= MOST_BIAS + 2 * float(np.std(self.announced)) / math.sqrt(count)
        print(
            f"{name:<16}{count / self.asked:>8.0%}{share:>8.1%}{np.mean(self.raw):>8.1%}{np.mean(self.best):>8.1%}"
            f"{math.exp(np.median(self.width)):>8.2f}{np.median(excess):>9.2f}%{excess.mean():>8.2f}%{excess.max():>8.1f}%"
            f"{bias:>+10.1%}{1e3 * self.seconds / self.asked:>8.0f}  {'PASS' if enough and sound else 'FAIL'}",
            flush=True,
        )
        return enough and sound


def heading() -> None:
    """The names of the columns."""
    print(
        f"{'':<16}{'answers':>8}{'hit':>8}{'raw':>8}{'best':>8}{'width':>8}{'excess: median, mean, worst':>28}", end=""
    )
    print(f"{'expected':>9}{'ms CPU':>8}")


def within(found: Response, x: Array) -> NDArray[np.bool_]:
    """Which log LRs the interval holds."""
    assert found.interval is not None
    low, high = found.interval
    return np.asarray((np.exp(x) >= low * (1 - 1e-9)) & (np.exp(x) <= high * (1 + 1e-9)))


def simulated(kind: str, repeats: int) -> bool:
    """One line for a made-up shape."""
    tally = Tally()
    for repeat in range(repeats):
        rng = np.random.default_rng([list(SHAPES).index(kind), repeat])
        sample: Sample = drawn(kind, SEEDS[repeat % len(SEEDS)], rng)
        found = asked(tally, sample.lr, sample.losses)
        if found.lr is not None:
            u = np.linspace(sample.u[0], sample.u[-1], FINE)
            tally.hit.append(tally.add(found, u + math.log(TRUE_LR), sample.shape.expected(u), sample.level))
    return tally.line(kind)


def asked(tally: Tally, lr: Array, losses: Array) -> Response:
    """What the losses say, known to depend on the LR; the time is noted."""
    began = time.process_time()
    found = fit_response(lr, losses, matters=True)
    tally.seconds += time.process_time() - began
    tally.asked += 1
    return found


def real() -> bool:
    """A line for each task, and one for all together, which is judged."""
    lines: dict[str, Tally] = {}
    for replay in replays():
        for name in (replay.task, "all"):
            tally = lines.setdefault(name, Tally())
            found = asked(tally, replay.lr, replay.losses)
            if found.lr is not None:
                _judge(tally, replay, found)
    whole = lines.pop("all", None)
    if whole is None:
        print("no trainings of real tasks are kept; run suggestion_regret.py first")
        return False
    for name, tally in sorted(lines.items()):
        tally.line(name[:15], announced=False)
    print(f"{len(whole.hit)} of {len(whole.raw)} measurements can be judged")
    return whole.line(f"{len(lines)} real tasks", announced=False)


def _judge(tally: Tally, replay: Replay, found: Response) -> None:
    x, known = np.log(replay.every), np.minimum(replay.others, 4 * replay.others.mean(axis=1).min())
    fine = np.linspace(x[0], x[-1], FINE)
    log_loss = np.interp(fine, x, np.log(known.mean(axis=1)))
    hit = tally.add(found, fine, log_loss)
    # The same width around what all seeds call the best.
    near = np.abs(fine - math.log(replay.best)) <= tally.width[-1] / 2 + 1e-9
    if (log_loss[near] <= log_loss.min() + math.log1p(AS_GOOD)).any():
        tally.hit.append(hit)


def main() -> int:
    """Print the lines; 1 where one is not as wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=504, help="of each made-up shape")
    parser.add_argument("--shapes", help=f"comma-separated, of {', '.join(SHAPES)}")
    parser.add_argument("--real", action="store_true", help="only the real tasks")
    arguments = parser.parse_args()
    kinds = [] if arguments.real else arguments.shapes.split(",") if arguments.shapes else list(SHAPES)
    heading()
    passed = [simulated(kind, arguments.repeats) for kind in kinds]
    if not arguments.shapes:
        passed.append(real())
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
