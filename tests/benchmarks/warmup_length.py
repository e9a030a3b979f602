"""Whether a warm-up that follows the critical LR is better than one of a usual length, or none.

What would be `schedule.warmup: auto` (after Kalra & Barkeshli 2024, arXiv:2406.09405): where the peak LR lies above the
critical LR η_c that is measured at the first update, a warm-up carries the training past it. The rules that are tried:

    start     the usual 5%, but beginning at η_c and not at 0
    ratio     W = c·(η/η_c − 1) updates,    η the peak LR, no warm-up where η ≤ η_c, half of the run at most
    octaves   W = c·log₂(η/η_c) updates,    the same
    later     ratio, with the critical LR of later updates, which `range-test` shows

Every task is trained under a cosine with warm-ups of several lengths, at LRs a factor √2 apart, with 8 seeds (kept in
`truth/warmup` beside this file); a rule's loss is read off that table, between two lengths on a straight line. Each way
to warm up is judged at its own best LR, which one half of the seeds chooses and the other half judges, in turn; and at
4 times the LR that is best with the usual warm-up, as a warm-up is also there for LRs that are too large. c is chosen
on half of the tasks, and the other half judges. `--unkept` measures the tasks that are not kept.

    python tests/benchmarks/warmup_length.py [--tasks A,B] [--unkept]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from support.regret_tasks import HELD_OUT, TASKS, UNSEEN
from support.regret_truth import setup_of

from lrtool.analysis.statistics.comparison import difference
from lrtool.config.schema import Config
from lrtool.engine.vector.engine import VectorEngine
from lrtool.experiments.final import final_loss
from lrtool.experiments.prior.critical import critical_lr
from lrtool.experiments.setup import Setup, prepare

Array = NDArray[np.float64]

KEPT = Path(__file__).parent / "truth" / "warmup"
ALL: dict[str, Config] = {**TASKS, **HELD_OUT, **UNSEEN}
#: Updates of warm-up, of the tasks' 400; `USUAL` is what configs say, 5%.
LENGTHS, USUAL = (0, 5, 10, 20, 40, 80, 160), 20
#: LRs of the first look, in octaves around the config's, and those around the best of it.
COARSE, DENSE = np.arange(-6.0, 6.0), np.arange(-3.0, 3.5, 0.5)
SEEDS, LOOKS, FIRST_SEED = 8, 3, 5_000
#: How far above the best LR one is too large, and the constants that rules are tried with.
TOO_LARGE, CONSTANTS = 4.0, (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
#: What a rule must gain in the median to be worth a key in every config.
WORTH = 0.01


@dataclass(frozen=True)
class Table:
    """Final losses of a task: `losses` (lengths, lr, seeds), `started` (lr, seeds) with the usual one from η_c on.

    `critical` and `later`: the critical LR at the first update, and at later ones.
    """

    lr: Array
    losses: Array
    started: Array
    critical: float
    later: float

    def at(self, lengths: Array) -> Array:
        """(lr, seeds): the loss at each LR with a warm-up of so many updates, (lr,)."""
        place = np.interp(lengths, LENGTHS, np.arange(len(LENGTHS)))
        below = np.minimum(place.astype(int), len(LENGTHS) - 2)
        part, each = (place - below)[:, None], np.arange(len(self.lr))
        with np.errstate(invalid="ignore"):
            mixed = (1 - part) * self.losses[below, each] + part * self.losses[below + 1, each]
        return np.where(part == 0, self.losses[below, each], np.where(np.isnan(mixed), np.inf, mixed))


Rule = Callable[[Table], Array]


def fixed(length: int, table: Table) -> Array:
    """The same warm-up at every LR."""
    return table.losses[LENGTHS.index(length)]


def start(table: Table) -> Array:
    """The usual warm-up, from the critical LR on."""
    return table.started


def ratio(constant: float, table: Table) -> Array:
    """As many updates as the peak is above the critical LR."""
    return table.at(np.clip(constant * (table.lr / table.critical - 1), 0, LENGTHS[-1]))


def octaves(constant: float, table: Table) -> Array:
    """As many updates as there are octaves from the critical LR to the peak."""
    return table.at(np.clip(constant * np.log2(table.lr / table.critical), 0, LENGTHS[-1]))


def later(constant: float, table: Table) -> Array:
    """`ratio` with the critical LR of later updates."""
    return table.at(np.clip(constant * (table.lr / table.later - 1), 0, LENGTHS[-1]))


FIXED: dict[str, Rule] = {f"{length / 4:g}%": partial(fixed, length) for length in LENGTHS}
NAME = "5%"


def table_of(name: str, measure: bool) -> Table | None:
    """What is kept of a task, or measured now."""
    path = KEPT / f"{name}.npz"
    if path.exists():
        with np.load(path) as known:
            return Table(
                known["lr"], known["losses"], known["started"], float(known["critical"]), float(known["later"])
            )
    if not measure:
        return None
    found = measured(setup_of(ALL[name], "cosine"))
    KEPT.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **vars(found))
    return found


def measured(setup: Setup) -> Table:
    """Train a task with every length at every LR."""
    looked = critical_lr(setup)
    assert looked is not None, setup.config.name
    first = [look.lr for look in looked.looks if look.step == 0 and look.lr is not None]
    critical = float(np.median(first)) if first else np.nan
    known = looked.estimate.value if looked.estimate is not None else np.nan
    coarse = setup.config.optimizer.lr * 2**COARSE
    best = coarse[int(np.argmin(trained(warmed(setup, USUAL), coarse, LOOKS).mean(axis=1)))]
    lrs = best * 2**DENSE
    losses = np.stack([trained(warmed(setup, length), lrs, SEEDS) for length in LENGTHS])
    started = np.concatenate([trained(warmed(setup, USUAL, min(critical, lr)), [lr], SEEDS) for lr in lrs])
    return Table(lrs, losses, started, critical, known)


def warmed(setup: Setup, length: int, begin: float = 0.0) -> Setup:
    """The task with a warm-up of so many updates that begins at this LR."""
    schedule = {"kind": "cosine", "warmup": length, "warmup_start": begin if np.isfinite(begin) else 0.0}
    changed = Config.model_validate({**setup.config.model_dump(), "schedule": schedule})
    return prepare(changed.beside(setup.config.folder))


def trained(setup: Setup, lrs: Sequence[float] | Array, seeds: int) -> Array:
    """Final losses (LRs, seeds), infinite where a training broke down."""
    trials = [setup.trial(FIRST_SEED + seed, float(lr)) for lr in lrs for seed in range(seeds)]
    recipe = replace(setup.recipe, stop_on_divergence=False)
    losses = np.array(
        [final_loss(each) for each in VectorEngine(slots=64, compile=False).run(setup.task, trials, recipe)]
    )
    return np.where(np.isfinite(losses), losses, np.inf).reshape(-1, seeds)


def at_best(losses: Array) -> Array:
    """(seeds,): each half of the seeds at the LR that the other half chooses."""
    halves = np.arange(SEEDS) % 2
    found = np.empty(SEEDS)
    for half in (0, 1):
        found[halves == half] = losses[int(np.argmin(losses[:, halves != half].mean(axis=1))), halves == half]
    return found


def too_large(table: Table, losses: Array) -> float:
    """The mean loss at an LR that is too large, over the least mean loss of the usual warm-up."""
    usual = FIXED[NAME](table).mean(axis=1)
    best = int(np.argmin(usual))
    lr = min(table.lr[best] * TOO_LARGE, table.lr[-1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(losses.mean(axis=1)[int(np.argmin(np.abs(np.log(table.lr / lr))))] / usual[best])


def gains(rule: Rule, tables: Mapping[str, Table]) -> Array:
    """What each task loses by a rule, as a part of the usual warm-up's loss; below 0: it gains."""
    return np.array([at_best(rule(each)).mean() / at_best(FIXED[NAME](each)).mean() - 1 for each in tables.values()])


def chosen(tables: Mapping[str, Table]) -> dict[str, tuple[Rule, float]]:
    """Each rule with the constant that is best on these tasks, in the mean of the logs."""
    rules: dict[str, tuple[Rule, float]] = {"start": (start, np.nan)}
    for rule in (ratio, octaves, later):
        scores = [float(np.mean(np.log1p(np.minimum(gains(partial(rule, c), tables), 9)))) for c in CONSTANTS]
        best = CONSTANTS[int(np.argmin(scores))]
        rules[rule.__name__] = (partial(rule, best), best)
    return rules


def verdicts(rule: Rule, tables: Mapping[str, Table]) -> tuple[int, int]:
    """Tasks in which the paired seeds say that a rule is better, and worse, than the usual warm-up."""
    better = worse = 0
    for table in tables.values():
        pair = [dict(enumerate(at_best(each(table)).tolist())) for each in (rule, FIXED[NAME])]
        told = difference("rule", pair[0], "usual", pair[1])
        better += told.significant and told.estimate.mean < 0
        worse += told.significant and told.estimate.mean > 0
    return better, worse


def print_rules(rules: Mapping[str, tuple[Rule, float]], tables: Mapping[str, Table]) -> None:
    """A line for each way to warm up."""
    head = "".join(f"{name:>9}" for name in ("median", "mean", "worst", "best"))
    print(f"{'warm-up':<10}{'c':>6}{head}{'better/worse':>14}{'at 4x the LR':>14}")
    for name, (rule, constant) in rules.items():
        lost = gains(rule, tables)
        large = np.median([too_large(table, rule(table)) for table in tables.values()])
        said = "" if np.isnan(constant) else f"{constant:g}"
        parts = "".join(f"{value:>+9.1%}" for value in (np.median(lost), lost.mean(), lost.max(), lost.min()))
        better, worse = verdicts(rule, tables)
        print(f"{name:<10}{said:>6}{parts}{f'{better} / {worse}':>14}{large:>14.2f}")


def main() -> int:
    """Print the tables; 1 where no rule is worth a key."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", help="comma-separated names")
    parser.add_argument("--unkept", action="store_true", help="measure what is not kept (minutes a task)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = arguments.tasks.split(",") if arguments.tasks else list(ALL)
    tables = {}
    for name in names:
        found = table_of(name, arguments.unkept)
        if found is not None:
            tables[name] = found
            best = found.lr[int(np.argmin(FIXED[NAME](found).mean(axis=1)))]
            print(
                f"{name:<25} best LR {best:<9.3g} critical {found.critical:<9.3g} later {found.later:.3g}", flush=True
            )
    sound = [name for name, each in tables.items() if np.isfinite(each.critical) and np.isfinite(each.later)]
    worth = False
    for half in (0, 1):
        chooses = {name: tables[name] for name in sound[half::2]}
        judges = {name: tables[name] for name in sound[1 - half :: 2]}
        rules = chosen(chooses)
        print(f"\n{len(judges)} tasks judge, c by the other {len(chooses)}; loss over that of {NAME}, each at its best")
        print_rules({name: (rule, np.nan) for name, rule in FIXED.items()}, judges)
        print_rules(rules, judges)
        worth |= any(np.median(gains(rule, judges)) <= -WORTH for rule, _ in rules.values())
    print(f"\n{'PASS' if worth else 'FAIL'}: a rule gains {WORTH:.0%} in the median over a warm-up of {NAME}")
    return 0 if worth else 1


if __name__ == "__main__":
    sys.exit(main())
